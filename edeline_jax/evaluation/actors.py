"""What chooses actions in an evaluation: a trained agent, or chance."""

from typing import Protocol

import numpy as np


class Actor(Protocol):
    """Chooses actions in N environments."""

    def reset(self, *, seed: int) -> None:
        """Begins anew in all environments, with random numbers of this seed."""

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Actions, int [N], in frames uint8 [N, H, W, 3]."""


class RandomActor:
    """Takes every action equally often, whatever it sees."""

    def __init__(self, num_actions: int):
        self._num_actions = num_actions
        self.reset(seed=0)

    def reset(self, *, seed: int) -> None:
        """See `Actor`."""
        self._rng = np.random.default_rng(seed)

    def act(self, frames: np.ndarray) -> np.ndarray:
        """See `Actor`."""
        return self._rng.integers(self._num_actions, size=len(frames))
