"""An environment whose every frame says where it is."""

from collections.abc import Collection

import numpy as np

from edeline_jax.envs.vector import Transition


def pixels(env: np.ndarray, game: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The one colour of a frame, uint8 [..., 3]; neighbours differ much, so that networks tell them apart."""
    return (np.stack(np.broadcast_arrays(env, game, step), -1) * 83 % 256).astype(np.uint8)


class Clock:
    """Environment i plays games of `lengths[i]` steps and loses a life at step 2; a frame shows (i, game, step).

    The games of the environments in `cut` are cut off by a time limit. `actions` are those that were played.
    """

    num_actions, frame_shape = 3, (20, 20, 3)

    def __init__(self, lengths: list[int], cut: Collection[int] = ()):
        self.num_envs, self._lengths = len(lengths), np.array(lengths)
        self._cut = np.isin(np.arange(self.num_envs), list(cut))
        self._game = np.zeros(self.num_envs, int)
        self.actions: list[np.ndarray] = []

    def _frames(self) -> np.ndarray:
        colours = pixels(np.arange(self.num_envs), self._game, self._step)
        return np.broadcast_to(colours[:, None, None], (self.num_envs, *self.frame_shape)).copy()

    def reset(self) -> np.ndarray:
        self._step = np.zeros(self.num_envs, int)
        return self._frames()

    def step(self, actions: np.ndarray) -> Transition:
        self.actions.append(actions)
        self._step += 1
        final_obs, over = self._frames(), self._step == self._lengths
        end, reward = (over & ~self._cut) | (self._step == 2), self._step.astype(np.float32)
        self._step, self._game = np.where(over, 0, self._step), self._game + over
        return Transition(self._frames(), final_obs, reward, end, over & self._cut, over)

    def close(self) -> None:
        pass
