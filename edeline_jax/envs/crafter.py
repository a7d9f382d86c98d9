"""Crafter (Hafner, 2022): survival in pixels, judged by what the player achieves."""

import math
from functools import partial

import numpy as np

from edeline_jax.envs.family import Family
from edeline_jax.envs.game import Moment
from edeline_jax.envs.stepping import Games, make_games
from edeline_jax.envs.vector import EnvSettings

SMALLEST = 9  # a frame shows 9 x 9 cells
ACHIEVEMENTS = (
    "collect_coal",
    "collect_diamond",
    "collect_drink",
    "collect_iron",
    "collect_sapling",
    "collect_stone",
    "collect_wood",
    "defeat_skeleton",
    "defeat_zombie",
    "eat_cow",
    "eat_plant",
    "make_iron_pickaxe",
    "make_iron_sword",
    "make_stone_pickaxe",
    "make_stone_sword",
    "make_wood_pickaxe",
    "make_wood_sword",
    "place_furnace",
    "place_plant",
    "place_stone",
    "place_table",
    "wake_up",
)


class CrafterGame:
    """One world after the other, 10,000 steps each at the most: 17 actions, +1 per achievement, ±0.1 per health point.

    A game is measured by whether each achievement was unlocked.
    """

    def __init__(self, size: int, seed: int) -> None:
        """Builds the first world, drawn as `size` x `size` pixels."""
        import crafter

        self._env = crafter.Env(size=(size, size), seed=seed)
        self.num_actions = int(self._env.action_space.n)

    def reset(self) -> np.ndarray:
        """See `Game`."""
        return self._env.reset()

    def step(self, action: int) -> Moment:
        """See `Game`."""
        frame, reward, over, info = self._env.step(action)
        died = info["discount"] == 0  # `over` alone does not tell it from the time limit
        unlocked = tuple(float(info["achievements"][name] > 0) for name in ACHIEVEMENTS)
        return Moment(frame, reward, over and died, over and not died, unlocked)

    def close(self) -> None:
        """See `Game`."""


def make(settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> Games:
    """Worlds of Crafter; `lives_end` has no effect, since there is one life."""
    del lives_end
    return make_games(partial(CrafterGame, settings.size), settings, num_envs, seed)


def check(settings: EnvSettings) -> None:
    """Raises ValueError if the package is missing, or cannot draw that size."""
    try:
        import crafter  # noqa: F401
    except ImportError as error:
        raise ValueError("crafter is not installed: pip install 'edeline-jax[crafter]'") from error
    if settings.size < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} in crafter, got {settings.size}")


def measures(id: str) -> tuple[str, ...]:
    """One for each achievement; `id` has no effect."""
    del id
    return tuple(f"unlocked_{name}" for name in ACHIEVEMENTS)


def figures(unlocked: dict[str, float]) -> dict[str, float]:
    """The success rates, and the score of the benchmark: their geometric mean in percent, shifted by 1 (eq. 1)."""
    score = math.exp(np.mean([math.log1p(100 * rate) for rate in unlocked.values()])) - 1
    return unlocked | {"crafter_score": score}


FAMILY = Family(
    config="crafter",
    title="survival in pixels, 22 achievements",
    ids=("crafter",),
    make=make,
    check=check,
    measures=measures,
    figures=figures,
)
