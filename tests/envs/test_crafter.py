"""Crafter beside the package driven by hand."""

import math
import sys

import numpy as np
import pytest

from edeline_jax.config.files import load
from edeline_jax.config.schema import EnvConfig
from edeline_jax.envs import figures, make_env, measures
from edeline_jax.envs.crafter import ACHIEVEMENTS, CrafterGame
from edeline_jax.envs.registry import check_env

NOOP = 0


def test_the_score_is_the_geometric_mean_of_shifted_success_rates() -> None:
    """Hafner (2022), equation 1."""
    games = np.zeros((4, 22))
    assert figures("crafter", games)["crafter_score"] == pytest.approx(0)
    games[:, 0], games[0, 1] = 1, 1  # success rates of 100 % and 25 %
    found = figures("crafter", games)
    assert found["unlocked_collect_coal"] == 1 and found["unlocked_collect_diamond"] == 0.25
    assert found["crafter_score"] == pytest.approx((101 * 26) ** (1 / 22) - 1)
    assert figures("crafter", np.ones((3, 22)))["crafter_score"] == pytest.approx(100)


def settings(size: int = 64) -> EnvConfig:
    return EnvConfig(**load("crafter").env.to_dict() | {"size": size})


def test_without_the_package_or_in_no_size_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "crafter", None)
    with pytest.raises(ValueError, match=r"crafter is not installed: pip install 'edeline-jax\[crafter\]'"):
        check_env(settings())
    monkeypatch.setitem(sys.modules, "crafter", math)
    with pytest.raises(ValueError, match="size must be at least 9 in crafter, got 8"):
        check_env(settings(8))


def test_the_achievements_are_the_packages() -> None:
    crafter = pytest.importorskip("crafter", reason="an extra")
    assert list(ACHIEVEMENTS) == crafter.constants.achievements
    assert measures("crafter") == tuple(f"unlocked_{name}" for name in crafter.constants.achievements)


def test_frames_rewards_and_achievements_are_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    crafter = pytest.importorskip("crafter", reason="an extra")
    returned, plain = [], crafter.Env.step

    def step(env: crafter.Env, action: int) -> tuple:
        returned.append((action, *plain(env, action)))
        return returned[-1][1:]

    monkeypatch.setattr(crafter.Env, "step", step)
    game, rng = CrafterGame(64, 7), np.random.default_rng(0)
    assert game.num_actions == 17
    np.testing.assert_array_equal(game.reset(), crafter.Env(seed=7).reset())
    for _ in range(60):
        moment = game.step(int(rng.integers(17)))
        _, frame, reward, over, info = returned[-1]
        np.testing.assert_array_equal(moment.frame, frame)
        assert moment.reward == reward and moment.end == over and not moment.truncation
        assert moment.measures == tuple(float(count > 0) for count in info["achievements"].values())
    assert [action for action, *_ in returned] == np.random.default_rng(0).integers(17, size=60).tolist()
    assert sum(moment.measures) >= 1 and max(reward for _, _, reward, *_ in returned) >= 0.9


def test_death_is_an_end_and_the_time_limit_is_none() -> None:
    pytest.importorskip("crafter", reason="an extra")
    game = CrafterGame(32, 0)
    game.reset()
    game._env._player.health = 0
    moment = game.step(NOOP)
    assert (moment.end, moment.truncation) == (True, False)
    game.reset()
    game._env._step = 9_998
    assert not game.step(NOOP).truncation
    moment = game.step(NOOP)
    assert (moment.end, moment.truncation) == (False, True)


def test_worlds_differ_and_start_anew() -> None:
    pytest.importorskip("crafter", reason="an extra")
    env = make_env(settings(32), 2, 0, lives_end=True)
    first = env.reset()
    assert first.shape == (2, 32, 32, 3) and (first[0] != first[1]).any()
    env._games[1]._env._player.health = 0
    step = env.step(np.zeros(2, int))
    assert step.game_over.tolist() == step.end.tolist() == [False, True]
    assert (step.obs[1] != step.final_obs[1]).any() and (step.obs[0] == step.final_obs[0]).all()
    np.testing.assert_array_equal(make_env(settings(32), 2, 0, lives_end=True).reset(), first)
