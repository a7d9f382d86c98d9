"""The world model's networks in one module; losses and imagination call its methods with explicit parameters."""

import jax
import jax.numpy as jnp

from edeline_jax.nn.initializers import zeros
from edeline_jax.nn.mamba import MambaCache, init_cache
from edeline_jax.nn.network import Network
from edeline_jax.nn.params import param
from edeline_jax.replay.reward import HEADS, RewardHead
from edeline_jax.world_model.denoiser import Denoiser
from edeline_jax.world_model.embedding import RecurrentEmb
from edeline_jax.world_model.heads import RewEndModel


class WorldModel(Network):
    """Memory, heads, denoiser, and the two harmonizers s1, s2 (EDELINE, section 3.3)."""

    reward: RewardHead = HEADS["sign"]

    def setup(self) -> None:
        dtype = jnp.dtype(self.config.compute_dtype)
        self.recurrent_emb = RecurrentEmb(self.config.recurrent_emb, self.num_actions, dtype)
        self.denoiser = Denoiser(self.config.denoiser, dtype)
        self.rew_end_model = RewEndModel(dtype, self.reward)
        self.harmony_s1 = param(self, "harmony_s1", zeros, ())
        self.harmony_s2 = param(self, "harmony_s2", zeros, ())

    def embed(
        self,
        frames: jax.Array,
        actions: jax.Array,
        caches: tuple[MambaCache, ...],
        mask: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[MambaCache, ...]]:
        """See `RecurrentEmb`."""
        return self.recurrent_emb(frames, actions, caches, mask)

    def outcome_logits(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """See `RewEndModel`."""
        return self.rew_end_model(h)

    def denoise(
        self, context: jax.Array, noisy: jax.Array, sigma: jax.Array, h: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """See `Denoiser`."""
        return self.denoiser(context, noisy, sigma, h)

    def init_cache(self, batch: int) -> tuple[MambaCache, ...]:
        """The memory's caches at the start of a sequence."""
        return init_cache(self.config.recurrent_emb.mamba, batch)

    def __call__(self, frames: jax.Array, actions: jax.Array) -> jax.Array:
        """Uses every parameter once, for `init`: frames [B, L + 1, H, W, C], actions [B, L + 1]."""
        h, _ = self.embed(frames, actions, self.init_cache(len(actions)))
        self.outcome_logits(h)
        return self.denoise(frames[:, :-1], frames[:, -1], jnp.ones(len(actions)), h[:, -1])[1]
