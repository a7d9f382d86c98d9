"""Environments, vectorised on the host."""

from edeline_jax.envs.atari import Atari
from edeline_jax.envs.catch import Catch
from edeline_jax.envs.games import GAMES, OTHER_GAMES, human_normalised_score, our_name
from edeline_jax.envs.registry import (
    FAMILIES,
    NO_ENV,
    check_env,
    count_actions,
    env_seed,
    figures,
    make_env,
    measures,
    shows_last_frame,
)
from edeline_jax.envs.vector import EnvSettings, Transition, VectorEnv

__all__ = [
    "FAMILIES",
    "GAMES",
    "NO_ENV",
    "OTHER_GAMES",
    "Atari",
    "Catch",
    "EnvSettings",
    "Transition",
    "VectorEnv",
    "check_env",
    "count_actions",
    "env_seed",
    "figures",
    "human_normalised_score",
    "make_env",
    "measures",
    "our_name",
    "shows_last_frame",
]
