"""What `python -m edeline_jax.evaluate` left in a run's folder."""

import json
from typing import Any, NamedTuple

from edeline_jax.report.page.album import Album, Picture
from edeline_jax.report.runs import UNUSABLE
from edeline_jax.runtime.errors import one_line
from edeline_jax.workdir.folder import RunFolder

PLAYERS = {"agent": "agent", "random": "random play"}  # key of an exam -> its name on the page


class Player(NamedTuple):
    """Who played the games of an exam, and how."""

    name: str
    num_games: int
    mean: float
    standard_error: float | None
    interval: tuple[float, float] | None  # 95 %, of the mean
    human_normalised: float | None
    length: float


class Exam(NamedTuple):
    """An evaluation of one agent. `why` says what is wrong with its file."""

    name: str
    players: list[Player]
    films: dict[str, Picture]
    why: str = ""


def read_exams(folder: RunFolder, album: Album) -> list[Exam]:
    """All evaluations in the folder, by name."""
    exams = []
    for path in folder.exam_cards:
        try:
            card = json.loads(path.read_text())
            players = [_player(name, card[key]) for key, name in PLAYERS.items()]
            films = {
                f"{title}, return {float(film['return']):,.2f}": film["files"][0]
                for title, film in (card.get("films") or {}).items()
            }
            pictures = {caption: album.picture(folder.exams, name) for caption, name in films.items()}
            exams.append(Exam(path.stem, players, pictures))
        except UNUSABLE as error:
            exams.append(Exam(path.stem, [], {}, f"cannot be read: {one_line(error)}"))
    return exams


def _player(name: str, figures: dict[str, Any]) -> Player:
    interval, error = figures["return_interval"], figures["return_standard_error"]
    normalised = figures.get("human_normalised_score")
    return Player(
        name,
        int(figures["num_games"]),
        float(figures["return_mean"]),
        None if error is None else float(error),
        None if interval is None else (float(interval[0]), float(interval[1])),
        None if normalised is None else float(normalised),
        float(figures["length_mean"]),
    )
