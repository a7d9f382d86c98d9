"""The published scores, and that our figures of them are the published ones."""

import numpy as np
import pytest

from edeline_jax.envs import GAMES, human_normalised_score
from edeline_jax.report import published, statistics
from edeline_jax.report.published import diamond_runs, published_aggregates, published_scores, published_table

SYSTEMS = ("SimPLe", "TWM", "IRIS", "STORM", "DreamerV3", "Drama", "DIAMOND", "EDELINE")
# As the EDELINE paper prints them over 26 games: superhuman games, mean and median of the games' means ...
GAMES_MEANS = {
    "SimPLe": (1, 0.332, 0.134),
    "TWM": (8, 0.956, 0.505),
    "IRIS": (10, 1.046, 0.289),
    "STORM": (10, 1.266, 0.580),
    "DreamerV3": (9, 1.124, 0.485),
    "Drama": (7, 0.989, 0.270),
    "DIAMOND": (11, 1.459, 0.373),
    "EDELINE": (13, 1.866, 0.817),
}
# ... and in the order of `Aggregates`, interquartile mean and optimality gap over runs.
DIAMOND = (1.459, 0.373, 0.641, 0.480, 11)


@pytest.mark.parametrize("system", SYSTEMS)
def test_aggregates_of_the_games_means_are_the_published_ones(system: str) -> None:
    scores = [np.array([human_normalised_score(game, row[system])]) for game, row in published_table().items()]
    figures = (statistics.superhuman(scores), statistics.mean(scores), statistics.median(scores))
    assert tuple(round(float(figure), 3) for figure in figures) == GAMES_MEANS[system]
    printed = published_aggregates()[system]
    assert (printed["superhuman"], printed["mean"], printed["median"]) == GAMES_MEANS[system]


def test_aggregates_of_diamonds_runs_are_the_published_ones() -> None:
    scores = [np.array([human_normalised_score(game, run) for run in runs]) for game, runs in diamond_runs().items()]
    assert tuple(statistics.aggregates(scores).round(3)) == DIAMOND
    assert tuple(published_aggregates()["DIAMOND"][name] for name in statistics.Aggregates._fields) == DIAMOND


def test_diamonds_runs_are_those_of_its_means() -> None:
    for game, runs in diamond_runs().items():
        assert len(runs) == 5 and np.mean(runs) == pytest.approx(published_scores(game)["DIAMOND"], abs=0.051), game


def test_every_game_has_its_constants_and_every_system() -> None:
    assert list(published_table()) == list(GAMES) == list(diamond_runs())
    for game, row in published_table().items():
        assert (row["Random"], row["Human"]) == GAMES[game][1:], game
        assert tuple(row) == ("Random", "Human", *SYSTEMS)
    assert published_scores("ms_pacman")["EDELINE"] == 1849.3 and published_scores("up_n_down")["DIAMOND"] == 3856.3


def test_what_was_not_published_is_left_out(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert published_scores("catch") == {}
    assert set(published_aggregates()["Drama"]) == {"superhuman", "mean", "median"}
    table = (published.FOLDER / "atari100k.tsv").read_text()
    (tmp_path / "atari100k.tsv").write_text(table.replace("\t15\t20.4\t", "\t–\t20.4\t"), encoding="utf-8")  # Pong
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    assert "Drama" not in published_scores("pong") and published_scores("pong")["DIAMOND"] == 20.4
    assert published_scores("boxing")["Drama"] == 78
