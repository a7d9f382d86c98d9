"""The recurrent embedding module (REM): h_t has seen o_1..o_t and a_1..a_t (EDELINE, section 3.1)."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.config.schema import RecurrentEmbConfig
from edeline_jax.nn.image_encoder import ImageEncoder, encode_in_parts
from edeline_jax.nn.initializers import standard_normal
from edeline_jax.nn.layers import Linear, RMSNorm, look_up
from edeline_jax.nn.memory import Caches, Memory
from edeline_jax.nn.params import param


class RecurrentEmb(nn.Module):
    """`(frames, actions, caches, mask) -> (h, caches)`, any number of steps at once."""

    config: RecurrentEmbConfig
    num_actions: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self,
        frames: jax.Array,
        actions: jax.Array,
        caches: Caches,
        mask: jax.Array | None = None,
    ) -> tuple[jax.Array, Caches]:
        """Embeds steps.

        Args:
          frames: float32 [B, T, H, W, C] in [-1, 1].
          actions: int [B, T].
          caches: one per layer; zeros at the start of a sequence (`nn.memory.init_caches`).
          mask: bool [B, T], false at steps that are none, before the first one of a sequence: no cache moves there, and
            h has no meaning. None: all are steps.

        Returns:
          h, float32 [B, T, D], and the caches after the last step.
        """
        B, T = frames.shape[:2]
        chex.assert_shape([frames, actions], [(B, T, None, None, None), (B, T)], custom_message="frames, actions")
        chex.assert_tree_shape_prefix(caches, (B,))
        encoder = ImageEncoder(self.config.channels, self.config.down, name="encoder")
        flat = frames.reshape(B * T, *frames.shape[2:]).astype(self.dtype)
        features = encode_in_parts(encoder, flat).reshape(B, T, -1)
        table = param(self, "act_emb", standard_normal, (self.num_actions, self.config.cond_channels))
        u = jnp.concatenate([features, look_up(table, actions).astype(self.dtype)], -1)
        u = nn.silu(Linear(self.config.mamba.d_model, name="embedding_proj")(u))
        y, caches = Memory(self.config, name=self.config.memory)(u, caches, mask)
        return RMSNorm(name="norm_f")(y).astype(jnp.float32), caches
