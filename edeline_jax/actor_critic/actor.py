"""What acts in real games."""

from typing import Any, Protocol

import jax

from edeline_jax.nn.params import Params

State = Any  # a tree of arrays [N, ...]; zeros at the start of an episode


class Actor(Protocol):
    """An `ActorCritic` that sees frames only, or what adds to the frames for it; hashable."""

    num_actions: int

    def init_state(self, batch: int) -> State:
        """The state at the start of episodes, all zeros."""

    def apply(self, params: Params, frames: jax.Array, state: State) -> tuple[jax.Array, jax.Array, State]:
        """Frames float32 [N, H, W, C] -> logits [N, A], values [N], and the state."""

    def take_in(self, params: Params, state: State, frames: jax.Array, actions: jax.Array) -> State:
        """The state after actions int32 [N] were taken in frames uint8 [N, H, W, C], those of the last `apply`."""
