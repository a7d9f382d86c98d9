"""The finished rounds of evaluations, on the disk: what was played once is not played again."""

import contextlib
import json
from typing import Any

from etils.epath import Path

from edeline_jax.acting.scoreboard import Game
from edeline_jax.runtime.files import Lines


class RoundLog:
    """A file with a line for every finished round.

    A line belongs to the evaluations of equal `key`; those of others stay in the file and are passed over.
    """

    def __init__(self, path: Path, key: dict[str, Any]):
        self._key = key
        self._lines = Lines(path)
        self._games: dict[tuple[str, int], list[Game]] = {}
        for text in path.read_text().splitlines() if path.exists() else ():
            with contextlib.suppress(ValueError, KeyError, TypeError):  # cut short, or not ours
                line = json.loads(text)
                if all(line[name] == value for name, value in key.items()):
                    n = len(line["returns"])
                    rows = zip(line["returns"], line["lengths"], line.get("measures", [()] * n), strict=True)
                    games = [Game(float(score), int(length), tuple(map(float, row))) for score, length, row in rows]
                    self._games[line["player"], line["round"]] = games

    def games(self, player: str, number: int) -> list[Game]:
        """The games of a finished round; empty if it was not played."""
        return self._games.get((player, number), [])

    def add(self, player: str, number: int, games: list[Game]) -> None:
        """Keeps a finished round."""
        returns, lengths, measures = zip(*games, strict=True)
        line = self._key | {"player": player, "round": number, "returns": returns, "lengths": lengths}
        if any(measures):
            line["measures"] = measures
        self._lines.append(json.dumps(line))
        self._lines.flush()
