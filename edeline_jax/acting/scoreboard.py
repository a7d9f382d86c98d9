"""Raw returns and lengths of the games in a set of environments."""

from typing import NamedTuple

import numpy as np


class Game(NamedTuple):
    """One finished game: its raw return and its length in steps."""

    score: float
    length: int


class Scoreboard:
    """Adds up each environment's rewards until its game is over."""

    def __init__(self, num_envs: int):
        self._scores, self._lengths = np.zeros(num_envs), np.zeros(num_envs, int)

    def count(self, rewards: np.ndarray, game_over: np.ndarray) -> list[tuple[int, Game]]:
        """Counts one step, rewards [N] and game_over [N].

        Returns (environment, game) for the games that ended with it.
        """
        self._scores += rewards
        self._lengths += 1
        over = np.flatnonzero(game_over)
        games = [(int(i), Game(float(self._scores[i]), int(self._lengths[i]))) for i in over]
        self._scores[over], self._lengths[over] = 0, 0
        return games


def summarize_games(games: list[Game]) -> dict[str, float]:
    """Statistics of raw returns and lengths; empty if no game ended."""
    if not games:
        return {}
    scores, lengths = zip(*games, strict=True)
    return {
        "return_mean": float(np.mean(scores)),
        "return_std": float(np.std(scores)),
        "return_min": min(scores),
        "return_max": max(scores),
        "length_mean": float(np.mean(lengths)),
        "num_games": len(games),
    }
