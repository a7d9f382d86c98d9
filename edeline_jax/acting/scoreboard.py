"""Raw returns and lengths of the games in a set of environments."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edeline_jax.envs import figures


class Game(NamedTuple):
    """One finished game: its raw return, its length in steps, and what else it is measured by (`envs.measures`)."""

    score: float
    length: int
    measures: tuple[float, ...] = ()


class Scoreboard:
    """Adds up each environment's rewards until its game is over."""

    def __init__(self, num_envs: int):
        self._scores, self._lengths = np.zeros(num_envs), np.zeros(num_envs, int)

    def count(
        self, rewards: np.ndarray, game_over: np.ndarray, measures: Sequence[Sequence[float]] = ()
    ) -> list[tuple[int, Game]]:
        """Counts one step, rewards [N], game_over [N] and measures [N][K], or none.

        Returns (environment, game) for the games that ended with it.
        """
        self._scores += rewards
        self._lengths += 1
        over = np.flatnonzero(game_over)
        rows = [tuple(map(float, measures[i])) if len(measures) else () for i in over]
        games = [
            (int(i), Game(float(self._scores[i]), int(self._lengths[i]), row))
            for i, row in zip(over, rows, strict=True)
        ]
        self._scores[over], self._lengths[over] = 0, 0
        return games

    def open_games(self) -> dict[str, np.ndarray]:
        """What is counted of the games that are not over, [N] each; see `restore`."""
        return {"scores": self._scores.copy(), "lengths": self._lengths.copy()}

    def restore(self, scores: np.ndarray, lengths: np.ndarray) -> None:
        """Goes on from `open_games`."""
        self._scores, self._lengths = np.array(scores, float), np.array(lengths, int)


def summarize_games(games: list[Game], id: str) -> dict[str, float]:
    """Statistics of games of the environment `id`: returns, lengths and its own figures; empty if no game ended."""
    if not games:
        return {}
    scores, lengths, measures = zip(*games, strict=True)
    return {
        "return_mean": float(np.mean(scores)),
        "return_std": float(np.std(scores)),
        "return_min": min(scores),
        "return_max": max(scores),
        "length_mean": float(np.mean(lengths)),
        "num_games": len(games),
        **figures(id, np.array(measures)),
    }
