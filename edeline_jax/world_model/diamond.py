"""DIAMOND's world model: frames follow from the last frames and actions, rewards and ends from the frames (Alonso et
al., NeurIPS 2024, arXiv 2405.12399)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from edeline_jax.nn.lstm import LSTMState
from edeline_jax.world_model.denoiser import Denoiser
from edeline_jax.world_model.model import WorldModel
from edeline_jax.world_model.rew_end import RewEndModel


class Memory(NamedTuple):
    """The actions in the last L - 1 frames but the newest, int32 [B, L - 1], and the reward-and-end model's LSTM."""

    actions: jax.Array
    lstm: LSTMState


class Diamond(WorldModel):
    """Denoiser, and reward-and-end model; their losses share nothing."""

    def setup(self) -> None:
        dtype = jnp.dtype(self.config.compute_dtype)
        self.denoiser = Denoiser(self.config.denoiser, dtype, self.num_actions)
        self.rew_end_model = RewEndModel(self.config.rew_end_model, self.num_actions, dtype, self.reward)

    @property
    def context(self) -> int:
        """L."""
        return self.config.denoiser.inner_model.num_steps_conditioning

    def init_memory(self, batch: int) -> Memory:
        """See `WorldModel`."""
        state = jnp.zeros((batch, self.config.rew_end_model.lstm_dim))
        return Memory(jnp.zeros((batch, self.context - 1), jnp.int32), LSTMState(state, state))

    def outcomes(
        self,
        frames: jax.Array,
        actions: jax.Array,
        next_frames: jax.Array,
        state: LSTMState,
        mask: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array, LSTMState]:
        """See `RewEndModel`."""
        return self.rew_end_model(frames, actions, next_frames, state, mask)

    def burn_in(self, frames: jax.Array, actions: jax.Array, mask: jax.Array | None = None) -> tuple[None, Memory]:
        """See `WorldModel`: there is no h."""
        before = mask if mask is None else mask[:, :-1]
        state = self.init_memory(len(actions)).lstm
        *_, state = self.outcomes(frames[:, :-1], actions[:, :-1], frames[:, 1:], state, before)
        return None, Memory(actions[:, -self.context : -1], state)

    def see(self, memory: Memory, frame: jax.Array, action: jax.Array) -> tuple[jax.Array, Memory]:
        """See `WorldModel`: the condition is the L last actions, int [B, L]."""
        del frame
        actions = jnp.concatenate([memory.actions, action[:, None]], 1)
        return actions, memory._replace(actions=actions[:, 1:])

    def denoise(
        self, context: jax.Array, noisy: jax.Array, sigma: jax.Array, condition: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """See `Denoiser`."""
        return self.denoiser(context, noisy, sigma, condition)

    def outcome(
        self, memory: Memory, condition: jax.Array, frame: jax.Array, action: jax.Array, next_frame: jax.Array
    ) -> tuple[jax.Array, jax.Array, Memory]:
        """See `WorldModel`."""
        del condition
        step = (x[:, None] for x in (frame, action, next_frame))
        reward, end, state = self.outcomes(*step, memory.lstm)
        return reward[:, 0], end[:, 0], memory._replace(lstm=state)

    def __call__(self, frames: jax.Array, actions: jax.Array) -> jax.Array:
        """Uses every parameter once, for `init`: frames [B, L + 1, H, W, C], actions [B, L + 1]."""
        self.burn_in(frames, actions)
        return self.denoise(frames[:, :-1], frames[:, -1], jnp.ones(len(actions)), actions[:, :-1])[1]
