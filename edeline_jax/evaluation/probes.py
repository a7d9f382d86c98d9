"""Linear probes: what can be read from the memory's state h_t by a linear map (EDELINE, Table 3).

The memory itself is not trained. Every map is fitted to some games and judged on others.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from edeline_jax.evaluation.linear import LinearMap, fit_classification, fit_regression
from edeline_jax.learning.scalars import scores

FEWEST_GAMES = 4
DELAYS = (1, 2, 4, 8, 16, 32, 64)  # steps


class ProbedGame(NamedTuple):
    """A game of T steps.

    features: name -> what a probe reads, float [T - first, D]; the `first` steps have none.
    frames: of a few pixels, float [T + 1, P] in 0..1. Action t is taken in frame t and leads to frame t + 1.
    actions, signs: int [T]; signs are those of the rewards.
    """

    features: dict[str, np.ndarray]
    frames: np.ndarray
    actions: np.ndarray
    signs: np.ndarray

    @property
    def first(self) -> int:
        """The first step that has features."""
        return len(self.actions) - min(map(len, self.features.values()))


class Parts(NamedTuple):
    """Values of steps of the games to fit to, to choose the penalty by, and to test on."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def part_of(number: int) -> str:
    """The part that a game belongs to, by its number: of every four, two, one and one."""
    return ("train", "train", "validation", "test")[number % 4]


def parts(games: Sequence[ProbedGame], values: Callable[[ProbedGame], np.ndarray]) -> Parts:
    """The values [N, ...] of each game's steps, put together by parts."""
    by_part: dict[str, list[np.ndarray]] = {name: [] for name in Parts._fields}
    for number, game in enumerate(games):
        by_part[part_of(number)].append(values(game))
    return Parts(**{name: np.concatenate(values) for name, values in by_part.items()})


def features(games: Sequence[ProbedGame], name: str, since: int = 0) -> Parts:
    """A feature of the steps from `since` on, as far as they have it."""
    return parts(games, lambda game: game.features[name][max(0, since - game.first) :])


def probe_frames(games: Sequence[ProbedGame]) -> dict[str, dict[str, float]]:
    """How well each feature predicts the next frame, and so do the last frame and the mean of the training games.

    R² is the share of the mean frame's squared error that is explained, over all pixels.
    """
    target = parts(games, lambda game: game.frames[game.first + 1 :])
    last = parts(games, lambda game: game.frames[game.first : -1])
    guesses = {name: _read(fit_regression, features(games, name), target) for name in games[0].features}
    mean = np.concatenate([target.train, target.validation]).mean(0, keepdims=True)
    guesses |= {"last_frame": last.test, "mean_frame": np.repeat(mean, len(target.test), 0)}
    errors = {name: float(np.square(guess - target.test).mean()) for name, guess in guesses.items()}
    scale = errors["mean_frame"] or 1.0  # a game in which nothing ever changes
    return {name: {"r2": 1 - error / scale, "mean_squared_error": error} for name, error in errors.items()}


def probe_rewards(games: Sequence[ProbedGame]) -> dict[str, dict[str, float]] | None:
    """How well each feature predicts the sign of the reward, and how well the commonest sign does for all steps.

    None if the games to fit to have one sign only.
    """
    sign = parts(games, lambda game: game.signs[game.first :])
    known, counts = np.unique(np.concatenate([sign.train, sign.validation]), return_counts=True)
    if len(known) < 2:
        return None
    commonest = int(known[counts.argmax()])
    target = Parts(*(np.searchsorted(known, values) for values in sign))  # of the test's, only the known ones count
    guesses = {
        name: known[_read(fit_classification, features(games, name), target).argmax(1)] for name in games[0].features
    }
    guesses["commonest_sign"] = np.full(len(sign.test), commonest)
    return {name: score_signs(guess, sign.test, commonest) for name, guess in guesses.items()}


def score_signs(guess: np.ndarray, sign: np.ndarray, commonest: int) -> dict[str, float]:
    """Scores of guessed signs, int [N].

    Balanced accuracy is the mean over the true signs of the share that is guessed. For the others a step counts as
    found if its sign is not the commonest and is guessed: precision is the share of such guesses that are right,
    recall the share of such steps that are found, F1 their harmonic mean; 0 where there are none.
    """
    found = ((guess == sign) & (sign != commonest)).sum()
    return {
        "balanced_accuracy": float(np.mean([(guess == s)[sign == s].mean() for s in np.unique(sign)])),
        **dict.fromkeys(("precision", "recall", "f1"), 0.0),
        **scores(found, (guess != commonest).sum(), (sign != commonest).sum()),
    }


def probe_delays(games: Sequence[ProbedGame], num_actions: int) -> list[dict[str, Any]]:
    """How well each feature tells the action taken k steps ago, for the delays k that the games are long enough for.

    The actions must be uniformly random: then chance is 1 / `num_actions`, and only a memory can know better, or an
    eye that sees what the action did.
    """
    rows = []
    for delay in DELAYS:
        target = parts(games, lambda game, delay=delay: game.actions[max(game.first, delay) - delay : -delay])
        if not all(map(len, target)):
            break
        row: dict[str, Any] = {"delay": delay, "steps": len(target.test), "chance": 1 / num_actions}
        for name in games[0].features:
            guess = _read(fit_classification, features(games, name, since=delay), target).argmax(1)
            row[name] = float((guess == target.test).mean())
        rows.append(row)
    return rows


def _read(fit: Callable[..., LinearMap], x: Parts, target: Parts) -> np.ndarray:
    """What a map, fitted to the other parts, says of the test's steps."""
    return fit((x.train, target.train), (x.validation, target.validation))(x.test)
