"""The interface of vectorised environments on the host."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np


class EnvSettings(Protocol):
    """Settings of an environment; the `env` group of a config has them all."""

    id: str
    size: int  # side of a frame, pixels
    frame_skip: int  # emulator frames per action (Atari); the last two are merged by their maximum
    noop_max: int  # a game starts with 1 to `noop_max` frames of no-op (Atari)
    max_episode_frames: int  # emulator frames after which a game is truncated (Atari); those no-ops do not count


class Transition(NamedTuple):
    """One step of N environments. `obs` and `final_obs` may share memory: treat both as read-only."""

    obs: np.ndarray  # uint8 [N,H,W,3]: the frame to act on next; after a reset, the new game's first frame
    final_obs: np.ndarray  # uint8 [N,H,W,3]: the frame the action led to; equals obs unless there was a reset
    reward: np.ndarray  # float32 [N], raw
    end: np.ndarray  # bool [N]: terminal for the agent (game over, and in training a lost life)
    truncation: np.ndarray  # bool [N]: cut by the time limit
    game_over: np.ndarray  # bool [N]: the game itself ended and was reset; a lost life alone does not count
    measures: Sequence[Sequence[float]] = ()  # [N][K]: of the game so far, see `Family.measures`; empty: K is 0


class VectorEnv(Protocol):
    """N environments stepped together. After the first `reset`, every `step` is one real transition of each."""

    num_envs: int
    num_actions: int
    frame_shape: tuple[int, int, int]  # (H, W, 3)

    def reset(self) -> np.ndarray:
        """Starts a new game in every environment; returns the first frames, uint8 [N,H,W,3]. Call it before `step`."""

    def step(self, actions: np.ndarray) -> Transition:
        """Plays int [N] actions in [0, num_actions); a game that ends is reset within the same call."""

    def close(self) -> None:
        """Frees the environments; they cannot be used afterwards."""
