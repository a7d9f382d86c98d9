"""Actors that follow a script."""

import numpy as np


class Script:
    """Plays actions [T, N], from the start after every reset; `seeds` are those it was reset with."""

    def __init__(self, actions: np.ndarray):
        self._actions = actions
        self.seeds: list[int] = []

    def reset(self, *, seed: int) -> None:
        self.seeds.append(seed)
        self._step = 0

    def act(self, frames: np.ndarray) -> np.ndarray:
        self._step += 1
        return self._actions[self._step - 1, : len(frames)]


def always(action: int, num_envs: int = 16, num_steps: int = 10_000) -> Script:
    return Script(np.full((num_steps, num_envs), action))
