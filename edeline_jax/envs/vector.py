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
    resize: str  # "stretch" or "letterbox": how a picture that is no square becomes one (Gymnasium)
    module: str  # is imported first, for the environments that it registers (Gymnasium); empty: none
    kwargs: str  # a JSON object, the arguments of the environment (Gymnasium)
    workers: str  # "in_turn", "threads" or "processes": how several are stepped (ViZDoom, Crafter, Gymnasium)


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


def seeds(seed: int, num_envs: int) -> list[int]:
    """The seeds of `num_envs` environments, in [0, 2^31): runs with neighbouring seeds share none of their games."""
    return (np.random.SeedSequence(seed).generate_state(num_envs) >> 1).tolist()


def check_actions(actions: np.ndarray, env: VectorEnv) -> None:
    """Raises ValueError if the shape is wrong or an action is outside [0, num_actions)."""
    if actions.shape != (env.num_envs,) or actions.min() < 0 or actions.max() >= env.num_actions:
        raise ValueError(f"actions must be [{env.num_envs}] in [0, {env.num_actions}), got {actions}")
