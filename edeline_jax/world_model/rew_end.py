"""DIAMOND's reward-and-end model: an LSTM over pairs of frames and the action between them (Alonso et al. 2024)."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.config.schema import RewEndModelConfig
from edeline_jax.nn.initializers import standard_normal, zeros
from edeline_jax.nn.layers import Conv, Downsample, Linear, look_up
from edeline_jax.nn.lstm import LSTMCell, LSTMState
from edeline_jax.nn.memory import over_time
from edeline_jax.nn.params import param
from edeline_jax.nn.unet import ResBlocks
from edeline_jax.replay.reward import RewardHead
from edeline_jax.world_model.heads import END_CLASSES


class RewEndModel(nn.Module):
    """`(frames, actions, next frames, state) -> (reward logits, end logits, state)`, any number of steps at once."""

    config: RewEndModelConfig
    num_actions: int
    dtype: jnp.dtype
    reward: RewardHead

    @nn.compact
    def __call__(
        self,
        frames: jax.Array,
        actions: jax.Array,
        next_frames: jax.Array,
        state: LSTMState,
        mask: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array, LSTMState]:
        """Predicts what comes of actions.

        Args:
          frames: those in which the actions were taken, float32 [B, T, H, W, C] in [-1, 1].
          actions: int [B, T].
          next_frames: those to which they led, like `frames`.
          state: of the LSTM; zeros at the start of a sequence.
          mask: bool [B, T], false at steps that are none, where the state does not move. None: all are steps.

        Returns:
          Logits of the rewards, float32 [B, T, classes], and of the ends, [B, T, 2], and the state after the last step.
        """
        c, (B, T) = self.config, actions.shape
        chex.assert_equal_shape([frames, next_frames], custom_message="frames, next_frames")
        chex.assert_tree_shape_prefix(frames, (B, T))
        table = param(self, "act_emb", standard_normal, (self.num_actions, c.cond_channels))
        cond = look_up(table, actions).astype(self.dtype).reshape(B * T, -1)
        pairs = jnp.concatenate([frames, next_frames], -1).astype(self.dtype)
        x = Conv(c.channels[0], name="conv_in")(pairs.reshape(B * T, *pairs.shape[2:]))
        levels = zip(c.channels, c.depths, c.attn_depths, strict=True)
        for i, (features, depth, attention) in enumerate(levels):
            x = x if i == 0 else Downsample(name=f"downsamples_{i}")(x)
            x, _ = ResBlocks([features] * depth, attention, cross_attention=False, name=f"blocks_{i}")(x, cond)
        last = ResBlocks([c.channels[-1]] * 2, True, cross_attention=False, name=f"blocks_{len(c.channels)}")
        x, _ = last(x, cond)
        features = x.transpose(0, 3, 1, 2).reshape(B, T, -1)  # in the order that the reference's weights expect
        y, state = over_time(LSTMCell(c.lstm_dim, name="lstm"), features, state, mask)
        logits = Head(self.reward.classes + END_CLASSES, self.reward.starts_at_zero, name="head")(y)
        return logits[..., : self.reward.classes], logits[..., self.reward.classes :], state


class Head(nn.Module):
    """Linear, SiLU, Linear without bias; float32 logits of rewards and ends."""

    classes: int
    starts_at_zero: bool

    @nn.compact
    def __call__(self, y: jax.Array) -> jax.Array:
        y = nn.silu(Linear(y.shape[-1], name="linear_0")(y))
        last = Linear(self.classes, use_bias=False, kernel_init=zeros if self.starts_at_zero else None, name="linear_2")
        return last(y).astype(jnp.float32)
