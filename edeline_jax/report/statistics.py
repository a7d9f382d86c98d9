"""Figures over many games and runs, and how certain they are.

They are those of Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice*, NeurIPS 2021.
`Scores` are human-normalised scores, one array float[..., runs] per game; games may differ in their number of runs.
Leading dimensions are resamples: a figure of them has shape [...].
"""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

Scores = Sequence[np.ndarray]
T = TypeVar("T")

CONFIDENCE = 0.95
NUM_RESAMPLES = 10_000


class Aggregates(NamedTuple):
    """Human-normalised scores over games. A figure is None where the scores that it takes are not known."""

    mean: float | None  # of the games' means
    median: float | None  # of the games' means
    interquartile_mean: float | None  # over runs
    optimality_gap: float | None  # over runs
    superhuman: float | None  # games


class Estimate(NamedTuple, Generic[T]):
    """A value and the interval that holds it with 95 % confidence; None where a game has one run only."""

    value: T
    low: T | None
    high: T | None


def mean(scores: Scores) -> np.ndarray:
    """Mean over games of the mean over runs, [...]."""
    return _game_means(scores).mean(-1)


def median(scores: Scores) -> np.ndarray:
    """Median over games of the mean over runs, [...]."""
    return np.median(_game_means(scores), -1)


def interquartile_mean(scores: Scores) -> np.ndarray:
    """Mean over all runs without the lowest and the highest quarter, each rounded down to whole runs, [...]."""
    runs = np.sort(np.concatenate(scores, -1), -1)
    cut = runs.shape[-1] // 4
    return runs[..., cut : runs.shape[-1] - cut].mean(-1)


def optimality_gap(scores: Scores) -> np.ndarray:
    """Mean over all runs of what is missing to the human's score; nothing where it is reached, [...]."""
    return np.maximum(1 - np.concatenate(scores, -1), 0).mean(-1)


def superhuman(scores: Scores) -> np.ndarray:
    """The number of games whose mean over runs is at least the human's score, [...]."""
    return (_game_means(scores) >= 1).sum(-1)


def aggregates(scores: Scores) -> np.ndarray:
    """The figures of `Aggregates` in their order, [..., 5]."""
    figures = (mean, median, interquartile_mean, optimality_gap, superhuman)
    return np.stack([figure(scores) for figure in figures], -1)


def performance_profile(scores: Scores, thresholds: Sequence[float]) -> np.ndarray:
    """The share of runs whose score is above each threshold, [..., thresholds]."""
    runs = np.concatenate(scores, -1)
    return np.stack([(runs > threshold).mean(-1) for threshold in thresholds], -1)


def probability_of_improvement(scores: Scores, others: Scores) -> np.ndarray:
    """How probable it is that a run is better than one of the others in the same game, [...].

    In a game it is the Mann–Whitney statistic: the share of pairs of runs of which the first is better; ties count
    half. Games count equally. Normalised or not, scores give the same.
    """
    pairs = (x[..., :, None] - y[..., None, :] for x, y in zip(scores, others, strict=True))
    return np.mean([((np.sign(difference) + 1) / 2).mean((-2, -1)) for difference in pairs], 0)


def estimate(statistic: Callable[..., np.ndarray], *samples: Scores) -> Estimate[np.ndarray]:
    """A statistic of one or more sets of scores, float[runs] per game, with its interval.

    The interval is that of the stratified percentile bootstrap: of each game of each set as many runs are drawn with
    replacement as it has, independently, 10,000 times; 2.5 % of the statistics of these lie below it, and 2.5 % above.
    The draws are the same in every call.
    """
    value = statistic(*samples)
    if any(len(runs) < 2 for scores in samples for runs in scores):
        return Estimate(value, None, None)
    rng = np.random.default_rng(0)
    resamples = statistic(*(_resample(scores, rng) for scores in samples))
    tail = (1 - CONFIDENCE) / 2
    return Estimate(value, *np.quantile(resamples, (tail, 1 - tail), axis=0))


def _game_means(scores: Scores) -> np.ndarray:
    """[..., games]."""
    return np.stack([runs.mean(-1) for runs in scores], -1)


def _resample(scores: Scores, rng: np.random.Generator) -> Scores:
    """float[resamples, runs] per game."""
    return [runs[rng.integers(len(runs), size=(NUM_RESAMPLES, len(runs)))] for runs in scores]
