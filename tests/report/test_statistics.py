"""Figures over games and runs: of scores made by hand, and beside other programs."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from edeline_jax.envs import human_normalised_score
from edeline_jax.report.published import diamond_runs
from edeline_jax.report.statistics import (
    Scores,
    aggregates,
    estimate,
    interquartile_mean,
    mean,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    superhuman,
)

THRESHOLDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)

# Intervals by rliable 1.2.0 (arch 7.2.0, numpy 2.4.6, pandas 2.3.3), of the human-normalised scores of DIAMOND's runs,
# a matrix [5, 26], by `library.get_interval_estimates(..., random_state=RandomState(0))`: 50,000 repetitions of
# `metrics.aggregate_mean`, `_median`, `_iqm`, `_optimality_gap`, and the number of games with a mean above 1; 20,000 of
# `metrics.probability_of_improvement` of the first two runs over the last three; 20,000 of
# `library.create_performance_profile`.
RLIABLE = (
    (1.35695, 0.30955, 0.57805, 0.46484, 10),
    (1.56794, 0.48991, 0.70736, 0.49611, 12),
)
RLIABLE_PROFILE = (
    (0.94615, 0.55385, 0.44615, 0.4, 0.22308, 0.09231, 0.0),
    (0.99231, 0.6, 0.47692, 0.44615, 0.26923, 0.13846, 0.03077),
)
RLIABLE_IMPROVEMENT = (0.44871795, 0.35897436, 0.54487179)
ONE_RUN = 1 / 130  # what a single run adds to a share of all runs


@pytest.fixture(scope="module")
def diamond() -> Scores:
    return [np.array([human_normalised_score(game, run) for run in runs]) for game, runs in diamond_runs().items()]


def scores(*games: list[float]) -> Scores:
    return [np.array(runs, np.float64) for runs in games]


def test_aggregates_by_hand() -> None:
    """Games' means: 0.25, 1, 0; runs: 0, 0, 0, 0, 1, 1, of which one goes on each side."""
    figures = aggregates(scores([0, 0, 0, 1], [1], [0]))
    assert figures == pytest.approx([1.25 / 3, 0.25, 0.25, 4 / 6, 1])


def test_aggregates_of_resamples_are_those_of_each() -> None:
    """Leading dimensions are kept apart."""
    rng = np.random.default_rng(0)
    many = [rng.exponential(size=(4, 3, runs)) for runs in (5, 2, 3)]
    assert aggregates(many).shape == (4, 3, 5)
    assert aggregates(many)[2, 1] == pytest.approx(aggregates([runs[2, 1] for runs in many]))


def test_interquartile_mean() -> None:
    assert interquartile_mean(scores([100, 3, -50, 4], [1, 2, 7, 6])) == (2 + 3 + 4 + 6) / 4
    assert interquartile_mean(scores([9, 1, 2])) == 4  # too few to leave any out
    assert interquartile_mean(scores([9, 1, 2, 4], [5, 3, 0])) == (1 + 2 + 3 + 4 + 5) / 5  # 7 / 4 is rounded down
    values = np.random.default_rng(0).normal(size=(3, 7))
    assert interquartile_mean(list(values)) == pytest.approx(trim_mean(values, 0.25, axis=None))


def test_optimality_gap_counts_what_is_missing_and_nothing_beyond() -> None:
    assert optimality_gap(scores([0.25, 5], [1, -1])) == (0.75 + 0 + 0 + 2) / 4


def test_superhuman_is_a_game_whose_mean_reaches_the_humans() -> None:
    assert superhuman(scores([0, 2], [0.9, 1], [3])) == 2


def test_performance_profile_is_the_share_of_runs_above() -> None:
    assert list(performance_profile(scores([0, 0.5], [0.5, 1, 3]), (0, 0.5, 1, 3))) == [0.8, 0.4, 0.2, 0]


def test_probability_of_improvement_is_the_mann_whitney_statistic() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = ([rng.integers(6, size=size) for size in sizes] for sizes in ((3, 5), (4, 2)))  # with ties
    games = [mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in zip(ours, theirs, strict=True)]
    assert probability_of_improvement(ours, theirs) == pytest.approx(np.mean(games))
    assert probability_of_improvement(scores([1, 2]), scores([2])) == 0.25
    assert probability_of_improvement(scores([5, 5], [5]), scores([5], [5])) == 0.5


def test_games_are_not_paired_with_others() -> None:
    with pytest.raises(ValueError):
        probability_of_improvement(scores([1], [2]), scores([1]))


def test_intervals_are_those_of_rliable(diamond: Scores) -> None:
    """But for the noise of the draws: 3 % of the width are four standard errors of such an end."""
    _, low, high = estimate(aggregates, diamond)
    width = np.subtract(RLIABLE[1], RLIABLE[0])
    assert (np.abs(low - RLIABLE[0]) < 0.03 * width).all() and (np.abs(high - RLIABLE[1]) < 0.03 * width).all()


def test_the_profiles_band_is_that_of_rliable(diamond: Scores) -> None:
    _, low, high = estimate(lambda scores: performance_profile(scores, THRESHOLDS), diamond)
    assert np.abs(low - RLIABLE_PROFILE[0]).max() < 1.01 * ONE_RUN
    assert np.abs(high - RLIABLE_PROFILE[1]).max() < 1.01 * ONE_RUN


def test_the_probability_of_improvement_is_that_of_rliable(diamond: Scores) -> None:
    """One of its 26 * 6 steps is allowed to the ends."""
    figures = estimate(probability_of_improvement, [runs[:2] for runs in diamond], [runs[2:] for runs in diamond])
    assert figures.value == pytest.approx(RLIABLE_IMPROVEMENT[0], abs=1e-8)
    assert (figures.low, figures.high) == pytest.approx(RLIABLE_IMPROVEMENT[1:], abs=1.01 / 156)


def test_runs_are_drawn_in_each_game_for_itself() -> None:
    """Of six fair draws of 0 or 1, none is a 1 with probability 1/64, one at most with 7/64; 2.5 % lie between.

    Drawn together in all games, 0 would have the probability 1/4; with games drawn too, nothing would be so exact.
    """
    value, low, high = estimate(mean, scores([0, 1], [0, 1], [0, 1]))
    assert (value, low, high) == pytest.approx((1 / 2, 1 / 6, 5 / 6))
    # Games that differ, each without spread: nothing to draw among.
    assert estimate(mean, scores([0, 0], [7, 7])) == pytest.approx((3.5, 3.5, 3.5))


def test_both_sets_are_drawn_from() -> None:
    """A set without spread against one with: the interval is the other's, from either side."""
    one, other = scores([5, 5]), scores([4, 6])
    assert estimate(probability_of_improvement, one, other) == pytest.approx((0.5, 0, 1))
    assert estimate(probability_of_improvement, other, one) == pytest.approx((0.5, 0, 1))


def test_a_game_with_one_run_leaves_no_interval() -> None:
    assert estimate(mean, scores([1, 2, 3], [4])) == (3, None, None)
    assert estimate(probability_of_improvement, scores([1, 2]), scores([0])) == (1, None, None)


def test_the_same_scores_have_the_same_interval(diamond: Scores) -> None:
    first, second = (estimate(mean, diamond) for _ in range(2))
    assert first == second and first.low < first.value < first.high
