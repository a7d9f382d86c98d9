"""Summarises many runs in one table: scores per game over seeds, and scores over all games.

Over games: mean and median of the games' mean human-normalised scores, and the interquartile mean, which is the mean
over all runs of all games without the lowest and the highest quarter (Agarwal et al., *Deep Reinforcement Learning at
the Edge of the Statistical Precipice*, NeurIPS 2021). Only finished runs count.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from edeline_jax.envs.games import GAMES, human_normalised_score
from edeline_jax.report.runs import RunRecord


class GameScores(NamedTuple):
    """The runs of one game. A figure is None if there are too few finished runs for it."""

    num_finished: int
    num_runs: int
    mean: float | None  # of the runs' mean returns
    std: float | None  # sample standard deviation over them
    human_normalised: float | None  # mean


class Overall(NamedTuple):
    """Human-normalised scores over games."""

    num_games: int
    num_runs: int
    mean: float
    median: float
    interquartile_mean: float


class Grid(NamedTuple):
    """The scores of a set of runs."""

    games: dict[str, GameScores]
    overall: Overall | None  # None: no run of an Atari game is finished
    unfinished: list[RunRecord]


def summarize(runs: list[RunRecord]) -> Grid:
    """Computes the scores per game and over games."""
    games = {game: _scores_of(game, runs) for game in sorted({run.game for run in runs})}
    return Grid(games, _overall(runs), [run for run in runs if not run.finished])


def interquartile_mean(scores: Iterable[float]) -> float:
    """The mean without the lowest and the highest quarter, each rounded down to whole runs."""
    ordered = np.sort(np.fromiter(scores, np.float64))
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def table(grid: Grid) -> str:
    """The scores as a text table."""
    head = f"{'game':<16} {'finished':>8} {'return':>10} {'std':>9} {'human-normalised':>17}"
    lines = [head, *(_line(game, scores) for game, scores in grid.games.items())]
    if grid.overall is not None:
        o = grid.overall
        lines.append(
            f"human-normalised over {o.num_games} of {len(GAMES)} games, {o.num_runs} runs: "
            f"mean {o.mean:.3f}, median {o.median:.3f}, interquartile mean {o.interquartile_mean:.3f}"
        )
    if grid.unfinished:
        lines += ["not finished:", *(f"  {_standing(run)}" for run in grid.unfinished)]
    return "\n".join(lines)


def to_json(grid: Grid) -> dict[str, Any]:
    """The scores as nested dicts."""
    return {
        "games": {game: scores._asdict() for game, scores in grid.games.items()},
        "overall": None if grid.overall is None else grid.overall._asdict(),
        "unfinished": [run._asdict() | {"folder": str(run.folder)} for run in grid.unfinished],
    }


def _scores_of(game: str, runs: list[RunRecord]) -> GameScores:
    runs = [run for run in runs if run.game == game]
    scores = [run.score for run in runs if run.finished and run.score is not None]
    mean = float(np.mean(scores)) if scores else None
    std = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    normalised = human_normalised_score(game, mean) if mean is not None else None
    return GameScores(sum(run.finished for run in runs), len(runs), mean, std, normalised)


def _overall(runs: list[RunRecord]) -> Overall | None:
    by_game: dict[str, list[float]] = {}
    for run in runs:
        if run.finished and run.score is not None and run.game in GAMES:
            by_game.setdefault(run.game, []).append(human_normalised_score(run.game, run.score))
    if not by_game:
        return None
    every = [score for scores in by_game.values() for score in scores]
    means = [np.mean(scores) for scores in by_game.values()]
    mean, median = float(np.mean(means)), float(np.median(means))
    return Overall(len(by_game), len(every), mean, median, interquartile_mean(every))


def _line(game: str, scores: GameScores) -> str:
    def figure(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:,.{digits}f}"

    columns = (figure(scores.mean, 2), figure(scores.std, 2), figure(scores.human_normalised, 3))
    finished = f"{scores.num_finished}/{scores.num_runs}"
    return f"{game:<16} {finished:>8} {columns[0]:>10} {columns[1]:>9} {columns[2]:>17}"


def _standing(run: RunRecord) -> str:
    test = "" if run.score is None else f", last test {run.score:.2f}"
    return f"{run.game} seed {run.seed}: epoch {run.epoch:,}, {run.env_steps:,} steps{test} ({run.folder})"
