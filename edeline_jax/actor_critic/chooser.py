"""The policy in real environments, step by step: what it remembers of each, and its random numbers."""

import jax
import numpy as np

from edeline_jax.actor_critic.actor import Actor
from edeline_jax.actor_critic.choice import Choice, choose
from edeline_jax.nn.params import Params


class Chooser:
    """Chooses actions in N environments.

    fresh: bool [N], where the actor remembers nothing at the next frame.
    """

    def __init__(self, network: Actor, key: jax.Array, epsilon: float = 0.0, greedy: bool = False):
        self._network = network
        self._epsilon = epsilon
        self._greedy = greedy
        self.seed(key)
        self.begin(0)

    def seed(self, key: jax.Array) -> None:
        """Begins the random numbers anew."""
        self._key = key
        self._steps = 0

    def begin(self, num_envs: int) -> None:
        """Forgets everything; the next frames are those of `num_envs` environments."""
        self._state = self._network.init_state(num_envs)
        self.fresh = np.ones(num_envs, bool)

    def choose(self, params: Params, frames: np.ndarray) -> Choice:
        """The choice in frames uint8 [N, H, W, 3]; afterwards no environment is fresh.

        Before the next one, `take` says what was done in the end.
        """
        key = jax.random.fold_in(self._key, self._steps)
        choice, self._state = choose(
            params, self._network, frames, self._state, self.fresh, key, self._epsilon, self._greedy
        )
        self._frames = frames
        self._steps += 1
        self.fresh = np.zeros(len(self.fresh), bool)
        return choice

    def take(self, params: Params, actions: jax.Array | np.ndarray) -> None:
        """Remembers that actions, int32 [N], were taken in the frames of the last choice."""
        self._state = self._network.take_in(params, self._state, self._frames, actions)
