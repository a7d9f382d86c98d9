"""Craftax-Classic (Matthews et al., 2024): Crafter written in JAX, in pixels. Its steps are compiled (`in_jit`)."""

import functools
import importlib.util
from typing import TYPE_CHECKING, Any, NamedTuple

from edeline_jax.envs.area import rounded, weights
from edeline_jax.envs.crafter import ACHIEVEMENTS, figures, measures
from edeline_jax.envs.family import Family
from edeline_jax.envs.game import Moment
from edeline_jax.envs.vector import EnvSettings, VectorEnv

if TYPE_CHECKING:
    import jax

NATIVE = 63  # pixels: 9 x 9 cells of 7


class Craftax(NamedTuple):
    """17 actions, +1 per achievement, ±0.1 per health point, 10,000 steps at the most; see `in_jit.World`.

    A game is measured by whether each achievement was unlocked.
    """

    size: int
    num_actions: int = 17

    def reset(self, key: "jax.Array") -> tuple["jax.Array", Any]:
        """See `World`."""
        env = _package()
        pixels, state = env.reset_env(key, env.default_params)
        return self._frame(pixels), state

    def step(self, key: "jax.Array", state: Any, action: "jax.Array") -> tuple[Moment, Any]:
        """See `World`."""
        env = _package()
        limits = env.default_params
        pixels, state, reward, over, _ = env.step_env(key, state, action, limits)
        died = env.is_terminal(state, limits.replace(max_timesteps=2**30))  # `over` alone mixes it with the time limit
        unlocked = state.achievements[_places()].astype("float32")
        return Moment(self._frame(pixels), reward.astype("float32"), died, over & ~died, unlocked), state

    def _frame(self, pixels: "jax.Array") -> "jax.Array":
        """Colours in 0..1 [63,63,3], area-resized, as uint8."""
        import jax
        import jax.numpy as jnp

        pixels = jnp.round(255 * pixels)
        if self.size == NATIVE:
            return pixels.astype(jnp.uint8)
        lines = weights(NATIVE, self.size).astype("float32")  # sums stay whole, below 2^24
        sums = jnp.einsum("ij,jkc,lk->ilc", lines, pixels, lines, precision=jax.lax.Precision.HIGHEST)
        return rounded(sums, int(lines[0].sum()) ** 2)


@functools.cache
def _package() -> Any:
    """The package's environment, which takes seconds to import."""
    from craftax.craftax_env import make_craftax_env_from_name

    return make_craftax_env_from_name("Craftax-Classic-Pixels-v1", auto_reset=False)


@functools.cache
def _places() -> Any:
    """Where the package keeps each of our achievements, int [22]."""
    import numpy as np
    from craftax.craftax_classic.constants import Achievement

    return np.array([Achievement[name.upper()].value for name in ACHIEVEMENTS])


def make(settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> VectorEnv:
    """Worlds of Craftax; `lives_end` has no effect, since there is one life."""
    from edeline_jax.envs.in_jit import InJit  # imports JAX, which a list of names does without

    del lives_end
    _package()  # here: the arrays that it makes when it is imported must not belong to a program that is being traced
    return InJit(Craftax(settings.size), num_envs, seed)


def check(settings: EnvSettings) -> None:
    """Raises ValueError if the package is missing, or the frames are too small to show the cells."""
    if importlib.util.find_spec("craftax") is None:
        raise ValueError("craftax is not installed: pip install 'edeline-jax[craftax]'")
    if settings.size < 9:
        raise ValueError(f"size must be at least 9 in craftax, got {settings.size}")


FAMILY = Family(
    config="craftax",
    title="Crafter written in JAX, on the device",
    ids=("craftax",),
    make=make,
    check=check,
    measures=measures,
    figures=figures,
)
