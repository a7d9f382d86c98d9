"""Environments: Atari and Catch, vectorised on the host."""

import functools

from edeline_jax.envs.atari import Atari
from edeline_jax.envs.catch import Catch, check_size
from edeline_jax.envs.games import GAMES, find_game, human_normalised_score
from edeline_jax.envs.vector import Transition, VectorEnv

__all__ = [
    "GAMES",
    "Atari",
    "Catch",
    "Transition",
    "VectorEnv",
    "check_env",
    "count_actions",
    "find_game",
    "human_normalised_score",
    "make_env",
]


def check_env(id: str, size: int) -> None:
    """Raises ValueError where `id` is no environment of the given frame size; "none" stands for no environment."""
    if id == "none":
        return
    if id == "catch":
        check_size(size)
    else:
        find_game(id)


def make_env(
    id: str,
    num_envs: int,
    seed: int,
    size: int,
    training: bool,
    *,
    frame_skip: int,
    noop_max: int,
    max_episode_frames: int,
) -> VectorEnv:
    """Builds the environment called `id`: an Atari game by its name in `GAMES`, or "catch".

    Args:
        id: name of the environment; an unknown one raises ValueError.
        num_envs: number of copies.
        seed: any integer >= 0.
        size: side of a frame in pixels.
        training: whether a lost life ends the agent's episode (Atari).
        frame_skip: emulator frames per action (Atari).
        noop_max: largest number of no-op frames at the start of a game (Atari).
        max_episode_frames: emulator frames after which a game is truncated (Atari).
    """
    if id == "catch":
        return Catch(num_envs=num_envs, seed=seed, size=size)
    return Atari(
        game=id,
        num_envs=num_envs,
        seed=seed,
        size=size,
        frame_skip=frame_skip,
        noop_max=noop_max,
        max_episode_frames=max_episode_frames,
        end_on_life_loss=training,
    )


@functools.cache
def count_actions(id: str, size: int) -> int:
    """The number of actions of an environment; see `make_env`."""
    env = make_env(id, 1, 0, size, False, frame_skip=4, noop_max=1, max_episode_frames=4)
    env.close()
    return env.num_actions
