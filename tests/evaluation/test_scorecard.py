"""The figures of games, by value."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from edeline_jax.acting.scoreboard import Game
from edeline_jax.evaluation.scorecard import statistics, table


def test_figures() -> None:
    games = [Game(score, n) for n, score in enumerate((2.0, 4.0, 9.0), start=10)]
    figures = statistics("breakout", games)
    assert figures["return_mean"] == 5 and figures["num_games"] == 3 and figures["length_mean"] == 11
    assert (figures["return_min"], figures["return_max"]) == (2, 9)
    assert figures["return_standard_error"] == pytest.approx(((9 + 1 + 16) / 2 / 3) ** 0.5)
    assert figures["human_normalised_score"] == pytest.approx((5 - 1.7) / (30.5 - 1.7))
    assert figures["returns"] == [2, 4, 9] and figures["lengths"] == [10, 11, 12]
    assert "human_normalised_score" not in statistics("catch", games)


def test_the_interval_is_the_percentile_bootstrap_of_the_mean() -> None:
    scores = np.random.default_rng(1).exponential(10, 60)
    wanted = bootstrap((scores,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2))
    games = [Game(score, 9) for score in scores]
    interval = statistics("catch", games)["return_interval"]
    assert interval == pytest.approx(list(wanted.confidence_interval), rel=0.03)
    assert statistics("catch", games)["return_interval"] == interval


def test_a_single_game_has_no_interval_and_equal_games_no_width() -> None:
    figures = statistics("catch", [Game(-1.0, 9)])
    assert figures["return_standard_error"] is None and figures["return_interval"] is None
    assert statistics("catch", [Game(1.0, 9)] * 5)["return_interval"] == [1, 1]


def test_the_table() -> None:
    agent = statistics("breakout", [Game(31.0, 1500), Game(30.0, 1300)])
    chance = statistics("breakout", [Game(1.7, 170)])
    card = {"id": "breakout", "agent": agent, "random": chance, "published": {"EDELINE": 250.5, "Krull": 1e4}}
    head, *lines = (line.split() for line in table(card).splitlines())
    assert head[:6] == ["breakout", "games", "return", "±", "s.e.", "95"]
    assert lines[0] == ["agent", "2", "30.50", "0.50", "30.00", "..", "31.00", "1.000", "1,400.0"]
    assert lines[1] == ["random", "play", "1", "1.70", "-", "-", "0.000", "170.0"]
    assert table(card).splitlines()[3] == "published, at 100,000 steps: EDELINE 250.5, Krull 10,000.0"
    assert len({len(line) for line in table(card).splitlines()[:3]}) == 1
    card |= {"id": "catch", "agent": statistics("catch", [Game(1.0, 9)]), "published": {}}
    assert len(table(card).splitlines()) == 3 and table(card).splitlines()[1].split()[-2] == "-"


def test_a_world_adds_its_own_figures_and_its_longer_name() -> None:
    id = "MiniGrid-MemoryS7-v0"
    games = [Game(0.9, 20, (1.0,)), Game(0.0, 245, (0.0,)), Game(0.7, 50, (1.0,)), Game(0.0, 245, (0.0,))]
    figures = statistics(id, games)
    assert figures["success"] == 0.5 and figures["returns"] == [0.9, 0, 0.7, 0]
    lines = table({"id": id, "agent": figures, "random": figures, "published": {}}).splitlines()
    assert len({len(line) for line in lines}) == 1 and lines[1].split()[:3] == ["agent", "4", "0.40"]
