"""Craftax beside the package driven by hand."""

import functools
import importlib.util
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.config.files import load
from edeline_jax.config.schema import EnvConfig
from edeline_jax.envs import make_env, measures
from edeline_jax.envs.area import resize
from edeline_jax.envs.craftax import Craftax
from edeline_jax.envs.crafter import ACHIEVEMENTS
from edeline_jax.envs.registry import check_env

NOOP = 0


@pytest.fixture
def package() -> Iterator[Any]:
    """The package's environment; its code adds arrays of different ranks."""
    pytest.importorskip("craftax", reason="an extra")
    from craftax.craftax_env import make_craftax_env_from_name

    with jax.numpy_rank_promotion("allow"):
        yield make_craftax_env_from_name("Craftax-Classic-Pixels-v1", auto_reset=False)


def settings(size: int = 63) -> EnvConfig:
    return EnvConfig(**load("craftax").env.to_dict() | {"size": size})


def test_without_the_package_or_in_no_size_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"craftax is not installed: pip install 'edeline-jax\[craftax\]'"):
        check_env(settings())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(ValueError, match="size must be at least 9 in craftax, got 8"):
        check_env(settings(8))
    assert measures("craftax") == measures("crafter")


def test_a_game_is_the_packages(package: Any) -> None:
    """60 random steps: frames, also in another size, rewards and achievements; then death, and the time limit."""
    world, params = Craftax(63), package.default_params
    step, plain = jax.jit(world.step), jax.jit(package.step_env)
    frame, state = jax.jit(world.reset)(jax.random.key(0))
    pixels, expected = package.reset_env(jax.random.key(0), params)
    rng, rewards, names = np.random.default_rng(0), [], list(ACHIEVEMENTS)
    for t in range(60):
        differences = np.abs(frame - 255 * np.asarray(pixels))
        assert differences.max() <= 1 and (differences > 0.51).mean() < 0.02  # programs add up in their own order
        key, action = jax.random.key(t), jnp.array(rng.integers(17))
        before = state
        moment, state = step(key, state, action)
        pixels, expected, reward, over, _ = plain(key, expected, action, params)
        frame = moment.frame
        assert moment.reward == reward and (moment.end | moment.truncation) == over
        rewards.append(float(reward))
    unlocked = {name.upper() for name, has in zip(names, moment.measures, strict=True) if has}
    from craftax.craftax_classic.constants import Achievement

    assert unlocked == {a.name for a in Achievement if expected.achievements[a.value]} and unlocked
    assert max(rewards) >= 0.9
    whole, small = jax.jit(lambda pixels: (Craftax(63)._frame(pixels), Craftax(32)._frame(pixels)))(pixels)
    np.testing.assert_array_equal(small, resize(np.asarray(whole), 32))

    died, _ = step(key, before.replace(player_health=jnp.zeros_like(before.player_health)), jnp.array(NOOP))
    late, _ = step(key, before.replace(timestep=jnp.full_like(before.timestep, 9_999)), jnp.array(NOOP))
    assert (bool(died.end), bool(died.truncation)) == (True, False)
    assert (bool(late.end), bool(late.truncation)) == (False, True)


@pytest.mark.slow  # compiles for more than half a minute
def test_worlds_differ_and_start_anew(package: Any) -> None:
    env = make_env(settings(), 2, 0, lives_end=True)
    first = env.reset()
    assert first.shape == (2, 63, 63, 3) and (first[0] != first[1]).any()
    dead = functools.partial(jnp.where, np.array([False, True]), 0)
    env._state = env._state.replace(player_health=dead(env._state.player_health))
    step = env.step(np.zeros(2, int))
    assert step.game_over.tolist() == step.end.tolist() == [False, True]
    assert (step.obs[1] != step.final_obs[1]).any() and (step.obs[0] == step.final_obs[0]).all()
