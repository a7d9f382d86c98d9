"""Summarises many runs: scores per game, over games, and of the published systems over the same games.

Only finished runs count.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from edeline_jax.envs import GAMES, human_normalised_score
from edeline_jax.report import statistics
from edeline_jax.report.published import diamond_runs, published_aggregates, published_scores
from edeline_jax.report.runs import RunRecord
from edeline_jax.report.statistics import Aggregates, Estimate, Scores

THRESHOLDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # human-normalised scores of the performance profile
NOT_SYSTEMS = ("Random", "Human")
OVER_RUNS = ("interquartile_mean", "optimality_gap")


class GameScores(NamedTuple):
    """The runs of one game. A figure is None if there are too few finished runs for it."""

    num_finished: int
    num_runs: int
    mean: float | None  # of the runs' mean returns
    std: float | None  # sample standard deviation over them
    standard_error: float | None  # of the mean
    human_normalised: float | None  # mean
    published: dict[str, float]  # system -> mean return


class Overall(NamedTuple):
    """Human-normalised scores over games."""

    num_games: int
    num_runs: int
    env_steps: tuple[int, int]  # of the shortest and the longest run
    runs_once: list[str]  # games with a single finished run: because of them there are no intervals
    scores: Estimate[Aggregates]
    thresholds: tuple[float, ...]
    profile: Estimate[list[float]]  # share of runs above each of the thresholds
    better_than_diamond: Estimate[float]  # probability that a run is better than one of DIAMOND's in the same game
    published: dict[str, Estimate[Aggregates]]  # systems, over the same games


class Grid(NamedTuple):
    """The scores of a set of runs."""

    games: dict[str, GameScores]  # by the runs' titles
    overall: Overall | None  # None: no run of an Atari game is finished
    unfinished: list[RunRecord]
    better_than_control: Estimate[float] | None  # see `_better_than_control`


def summarize(runs: list[RunRecord]) -> Grid:
    """Computes the scores per game and over games."""
    titles = sorted({run.title for run in runs})
    games = {title: _scores_of([run for run in runs if run.title == title]) for title in titles}
    finished, unfinished = counted(runs), [run for run in runs if not run.finished]
    return Grid(games, _overall(finished) if finished else None, unfinished, _better_than_control(runs))


def counted(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs that the figures over games are of: finished ones of the 26 games, and DIAMOND's only if all are."""
    finished = [run for run in runs if run.finished and run.score is not None and run.game in GAMES]
    return [run for run in finished if run.kind == "edeline"] or finished


def scores_by_game(runs: Sequence[RunRecord]) -> dict[str, np.ndarray]:
    """Game -> human-normalised scores of these runs, which must be `counted`, [N]."""
    returns: dict[str, list[float]] = {}
    for run in runs:
        returns.setdefault(run.game, []).append(run.score)
    return dict(zip(returns, _normalised(returns), strict=True))


def diamond_scores(games: Iterable[str]) -> Scores:
    """Human-normalised scores of DIAMOND's runs, float[runs] per game."""
    return _normalised({game: diamond_runs()[game] for game in games})


def to_json(grid: Grid) -> Any:
    """The scores as nested dicts and lists."""
    return _tree(grid)


def _better_than_control(runs: Sequence[RunRecord]) -> Estimate[float] | None:
    """How probable it is that a run of EDELINE beats one of DIAMOND, over the games with finished runs of both.

    None: there is no such game.
    """
    scores: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        if run.finished and run.score is not None:
            scores.setdefault(run.game, {}).setdefault(run.kind, []).append(run.score)
    pairs = [[np.array(own["edeline"]), np.array(own["diamond"])] for own in scores.values() if len(own) == 2]
    if not pairs:
        return None
    return _plain(statistics.estimate(statistics.probability_of_improvement, *map(list, zip(*pairs, strict=True))))


def _scores_of(runs: Sequence[RunRecord]) -> GameScores:
    """Of runs with one title, at least one."""
    game = runs[0].game
    scores = [run.score for run in runs if run.finished and run.score is not None]
    mean = float(np.mean(scores)) if scores else None
    std = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    error = std / len(scores) ** 0.5 if std is not None else None
    normalised = human_normalised_score(game, mean) if mean is not None else None
    finished = sum(run.finished for run in runs)
    return GameScores(finished, len(runs), mean, std, error, normalised, published_scores(game))


def _overall(runs: list[RunRecord]) -> Overall:
    """Of finished runs of Atari games, at least one."""
    games = scores_by_game(runs)
    scores, diamond = list(games.values()), diamond_scores(games)
    steps = [run.env_steps for run in runs]
    return Overall(
        num_games=len(games),
        num_runs=len(runs),
        env_steps=(min(steps), max(steps)),
        runs_once=[game for game, of_game in games.items() if len(of_game) == 1],
        scores=_aggregates(scores),
        thresholds=THRESHOLDS,
        profile=_plain(statistics.estimate(lambda x: statistics.performance_profile(x, THRESHOLDS), scores)),
        better_than_diamond=_plain(statistics.estimate(statistics.probability_of_improvement, scores, diamond)),
        published=_published(list(games)) | {"DIAMOND": _aggregates(diamond)},
    )


def _published(games: list[str]) -> dict[str, Estimate[Aggregates]]:
    """What is known of every system over these games.

    Of most only the games' means are published, and over all 26 games what depends on the runs.
    """
    known: dict[str, Estimate[Aggregates]] = {}
    for system, printed in published_aggregates().items():
        returns = {game: [published_scores(game).get(system)] for game in games}
        if [None] in returns.values():
            figures = dict.fromkeys(Aggregates._fields)
        else:
            figures = _aggregates(_normalised(returns)).value._asdict()
        figures |= {name: printed.get(name) if len(games) == len(GAMES) else None for name in OVER_RUNS}
        known[system] = Estimate(Aggregates(**figures), None, None)
    return known


def _normalised(returns: dict[str, Sequence[float]]) -> Scores:
    return [np.array([human_normalised_score(game, score) for score in of_game]) for game, of_game in returns.items()]


def _aggregates(scores: Scores) -> Estimate[Aggregates]:
    figures = statistics.estimate(statistics.aggregates, scores)
    return Estimate(*(None if row is None else Aggregates(*row.tolist()) for row in figures))


def _plain(figures: Estimate[np.ndarray]) -> Estimate:
    """Floats and lists of them instead of arrays."""
    return Estimate(*(None if figure is None else figure.tolist() for figure in figures))


def _tree(value: Any) -> Any:
    """Named tuples as dicts, and what JSON does not know as text."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: _tree(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_tree(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
