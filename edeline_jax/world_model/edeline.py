"""EDELINE's world model: frames, rewards and ends all follow from the memory's h (EDELINE, section 3)."""

import jax
import jax.numpy as jnp

from edeline_jax.nn.initializers import zeros
from edeline_jax.nn.memory import Caches, init_caches
from edeline_jax.nn.params import param
from edeline_jax.world_model.denoiser import Denoiser
from edeline_jax.world_model.embedding import RecurrentEmb
from edeline_jax.world_model.heads import RewEndModel
from edeline_jax.world_model.model import WorldModel


class Edeline(WorldModel):
    """Memory, heads, denoiser, and the two harmonizers s1, s2 (EDELINE, section 3.3)."""

    def setup(self) -> None:
        dtype = jnp.dtype(self.config.compute_dtype)
        self.recurrent_emb = RecurrentEmb(self.config.recurrent_emb, self.num_actions, dtype)
        self.denoiser = Denoiser(self.config.denoiser, dtype)
        self.rew_end_model = RewEndModel(dtype, self.reward)
        self.harmony_s1 = param(self, "harmony_s1", zeros, ())
        self.harmony_s2 = param(self, "harmony_s2", zeros, ())

    def embed(
        self, frames: jax.Array, actions: jax.Array, memory: Caches, mask: jax.Array | None = None
    ) -> tuple[jax.Array, Caches]:
        """See `RecurrentEmb`."""
        return self.recurrent_emb(frames, actions, memory, mask)

    def outcome_logits(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """See `RewEndModel`."""
        return self.rew_end_model(h)

    def init_memory(self, batch: int) -> Caches:
        """See `WorldModel`."""
        return init_caches(self.config.recurrent_emb, batch)

    def burn_in(self, frames: jax.Array, actions: jax.Array, mask: jax.Array | None = None) -> tuple[jax.Array, Caches]:
        """See `WorldModel`: one parallel call over the steps before the newest frame, which gives every h."""
        before = mask if mask is None else mask[:, :-1]
        return self.embed(frames[:, :-1], actions[:, :-1], self.init_memory(len(actions)), before)

    def see(self, memory: Caches, frame: jax.Array, action: jax.Array) -> tuple[jax.Array, Caches]:
        """See `WorldModel`: the condition is h, [B, D]."""
        h, memory = self.embed(frame[:, None], action[:, None], memory)
        return h[:, 0], memory

    def denoise(
        self, context: jax.Array, noisy: jax.Array, sigma: jax.Array, condition: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """See `Denoiser`."""
        return self.denoiser(context, noisy, sigma, condition)

    def outcome(
        self, memory: Caches, condition: jax.Array, frame: jax.Array, action: jax.Array, next_frame: jax.Array
    ) -> tuple[jax.Array, jax.Array, Caches]:
        """See `WorldModel`: h says it all."""
        del frame, action, next_frame
        return *self.outcome_logits(condition), memory

    def __call__(self, frames: jax.Array, actions: jax.Array) -> jax.Array:
        """Uses every parameter once, for `init`: frames [B, L + 1, H, W, C], actions [B, L + 1]."""
        h, _ = self.embed(frames, actions, self.init_memory(len(actions)))
        self.outcome_logits(h)
        return self.denoise(frames[:, :-1], frames[:, -1], jnp.ones(len(actions)), h[:, -1])[1]
