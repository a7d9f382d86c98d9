"""The known environments, by their ids in a config."""

import functools

import numpy as np

from edeline_jax.envs import atari, catch, craftax, crafter, gymnasium, minigrid, recall, vizdoom
from edeline_jax.envs.family import Family
from edeline_jax.envs.spelling import nearest
from edeline_jax.envs.vector import EnvSettings, VectorEnv

NO_ENV = "none"  # the id in a config that learns from a dataset and has no game to test in
FAMILIES = tuple(family.FAMILY for family in (atari, catch, recall, minigrid, vizdoom, crafter, craftax, gymnasium))


def find_family(id: str) -> Family:
    """The family of an environment; an unknown one raises ValueError, which names the nearest."""
    for family in FAMILIES:
        if family.has(id):
            return family
    meant = nearest(id, [known for family in FAMILIES for known in family.ids])
    remedy = f"did you mean {' or '.join(meant)}?" if meant else "python -m edeline_jax.train --list has them all"
    raise ValueError(f"unknown environment {id!r}; {remedy}")


def check_env(settings: EnvSettings) -> None:
    """Raises ValueError if there is no such environment, or not with these settings."""
    if settings.id != NO_ENV:
        find_family(settings.id).check(settings)


def make_env(settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> VectorEnv:
    """Builds `num_envs` copies of the environment `settings.id`.

    Args:
      settings: the `env` group of a config.
      seed: any integer >= 0.
      lives_end: whether a lost life ends the agent's episode (the game goes on).

    Raises:
      ValueError: the id is unknown, or the environment cannot be had with these settings.
    """
    return find_family(settings.id).make(settings, num_envs, seed, lives_end)


def measures(id: str) -> tuple[str, ...]:
    """The names of the K numbers that a game is measured by besides its return."""
    return () if id == NO_ENV else find_family(id).measures(id)


def figures(id: str, measured: np.ndarray) -> dict[str, float]:
    """What games come to, by name, in the measures [games, K] of each."""
    means = dict(zip(measures(id), measured.mean(0).tolist(), strict=True))
    return find_family(id).figures(means) if means else {}


def shows_last_frame(id: str) -> bool:
    """See `Family`."""
    return id != NO_ENV and find_family(id).shows_last_frame


def env_seed(*numbers: int) -> int:
    """A seed derived from `numbers`; different numbers give different games."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@functools.cache
def count_actions(settings: EnvSettings) -> int:
    """The number of actions of an environment."""
    env = make_env(settings, 1, 0, False)
    env.close()
    return env.num_actions
