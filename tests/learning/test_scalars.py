"""The numbers of a run, from known games and known counts."""

import json
from pathlib import Path

import numpy as np
import pytest

from edeline_jax.acting.scoreboard import Game, Scoreboard, summarize_games
from edeline_jax.config import pour
from edeline_jax.learning.scalars import not_finite, summarize_updates
from edeline_jax.workdir.metrics import MetricsLog
from edeline_jax.workdir.progress import Progress
from tests.tiny_config import get_config


def test_games() -> None:
    assert summarize_games([Game(2.0, 10), Game(11.0, 30), Game(5.0, 53)], "catch") == {
        "return_mean": 6.0,
        "return_std": pytest.approx(14**0.5),
        "return_min": 2.0,
        "return_max": 11.0,
        "length_mean": 31.0,
        "num_games": 3,
    }
    assert summarize_games([], "catch") == {}


def test_a_score_is_the_sum_of_the_rewards_of_one_game() -> None:
    board, none = Scoreboard(3), np.zeros(3, bool)
    assert board.count(np.array([1.0, -2.0, 0.5]), none) == []
    assert board.count(np.array([3.0, -1.0, 0.25]), np.array([True, False, True])) == [
        (0, Game(4.0, 2)),
        (2, Game(0.75, 2)),
    ]
    assert board.count(np.array([10.0, 20.0, 30.0]), none) == []
    assert board.count(np.zeros(3), ~none) == [(0, Game(10.0, 2)), (1, Game(17.0, 4)), (2, Game(30.0, 2))]


def test_the_measures_of_a_game_are_those_of_its_last_step() -> None:
    board = Scoreboard(2)
    assert board.count(np.ones(2), np.zeros(2, bool), np.array([[True], [False]])) == []
    assert board.count(np.ones(2), np.array([False, True]), np.array([[False], [True]])) == [(1, Game(2.0, 2, (1.0,)))]
    games = [Game(1.0, 5, (1.0,)), Game(0.0, 9, (0.0,)), Game(0.5, 7, (1.0,)), Game(0.5, 7, (1.0,))]
    assert summarize_games(games, "MiniGrid-MemoryS7-v0")["success"] == 0.75
    assert "success" not in summarize_games([Game(1.0, 5)], "catch")


def test_confusion_matrices_become_accuracy_recall_and_f1() -> None:
    """Rows are the true classes. What would be a division by zero is left out: -1 was never predicted, 0 never came."""
    metrics = {
        "loss_rew": np.float32(0.5),
        "num_updates": np.int32(7),
        "confusion_rew": np.array([[0, 2, 6], [0, 0, 0], [0, 1, 3]]),
        "confusion_end": np.zeros((2, 2)),
    }
    assert summarize_updates(metrics) == {
        "loss_rew": 0.5,
        "accuracy_rew": pytest.approx(3 / 12),
        "recall_rew": pytest.approx((0 / 8 + 3 / 4) / 2),
        "recall_rew_negative": 0.0,
        "f1_rew_negative": 0.0,
        "precision_rew_zero": 0.0,
        "f1_rew_zero": 0.0,
        "precision_rew_positive": pytest.approx(3 / 9),
        "recall_rew_positive": pytest.approx(3 / 4),
        "f1_rew_positive": pytest.approx(6 / 13),
        "accuracy_end": 0.0,
        "recall_end": 0.0,
    }


def test_ends_are_counted_over_all_updates() -> None:
    """Means of the counts of three updates, in which 2 of 4 ends were foreseen, and 1 that did not come."""
    counts = (np.array([[9, 0], [2, 0]]) + np.array([[8, 1], [0, 1]]) + np.array([[9, 0], [0, 1]])) / 3
    got = summarize_updates({"confusion_end": counts})
    assert got["precision_end_yes"] == pytest.approx(2 / 3) and got["recall_end_yes"] == pytest.approx(2 / 4)
    assert got["f1_end_yes"] == pytest.approx(4 / 7)
    assert got["precision_end_no"] == pytest.approx(26 / 28) and got["recall_end_no"] == pytest.approx(26 / 27)


def test_what_is_not_finite_is_named() -> None:
    assert not_finite({"a": 1.0, "b": float("nan"), "c": -float("inf"), "d": 0.0, "e": float("inf")}) == ["b", "c", "e"]


def test_a_line_holds_the_counters_and_the_values_of_a_group(tmp_path: Path) -> None:
    config = pour(get_config())
    log = MetricsLog(tmp_path, config, Progress(), [])
    progress = Progress(epoch=3, env_steps=120, replay_step=15, wall_time=1.23456)
    log.write(progress, (11, 5), "test", {"return_mean": np.float32(0.5), "num_games": 4})
    log.write(progress._replace(epoch=4), (12, 6), "collect", {"return_max": 2})
    log.close()
    first, second = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    counters = {
        "epoch": 3,
        "env_steps": 120,
        "wall_time": 1.23456,
        "world_model_updates": 11,
        "actor_critic_updates": 5,
    }
    assert first == counters | {"test/return_mean": 0.5, "test/num_games": 4.0}
    more = {"epoch": 4, "world_model_updates": 12, "actor_critic_updates": 6}
    assert second == counters | more | {"collect/return_max": 2.0}
