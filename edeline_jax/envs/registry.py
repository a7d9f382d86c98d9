"""The known environments, by their ids in a config."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edeline_jax.envs import atari, catch
from edeline_jax.envs.games import GAMES, OTHER_GAMES, find_game
from edeline_jax.envs.vector import EnvSettings, VectorEnv

NO_ENV = "none"  # the id in a config that learns from a dataset and has no game to test in


class Family(NamedTuple):
    """The functions that check and make environments of one kind.

    check: raises ValueError if frames cannot be of the given size.
    make: see `make_env`.
    """

    check: Callable[[int], None]
    make: Callable[[EnvSettings, int, int, bool], VectorEnv]


ATARI = Family(check=lambda size: None, make=atari.make)
CATCH = Family(check=catch.check_size, make=catch.make)
FAMILIES = {"catch": CATCH, **dict.fromkeys((*GAMES, *OTHER_GAMES), ATARI)}


def check_env(id: str, size: int) -> None:
    """Raises ValueError if there is no environment `id` with frames of `size` x `size` pixels."""
    if id != NO_ENV:
        _family(id).check(size)


def make_env(settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> VectorEnv:
    """Builds `num_envs` copies of the environment `settings.id`.

    Args:
      settings: the `env` group of a config.
      seed: any integer >= 0.
      lives_end: whether a lost life ends the agent's episode (the game goes on).

    Raises:
      ValueError: the id is unknown, or the environment does not come in that size.
    """
    return _family(settings.id).make(settings, num_envs, seed, lives_end)


def env_seed(*numbers: int) -> int:
    """A seed derived from `numbers`; different numbers give different games."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@functools.cache
def count_actions(settings: EnvSettings) -> int:
    """The number of actions of an environment."""
    env = make_env(settings, 1, 0, False)
    env.close()
    return env.num_actions


def _family(id: str) -> Family:
    if id not in FAMILIES:
        find_game(id)  # raises ValueError, naming the nearest
    return FAMILIES[id]
