"""Published scores at 100,000 steps, to compare with. README.md, beside this file, says where they are from."""

import csv
from importlib import resources

from edeline_jax.envs import GAMES

FOLDER = resources.files(__name__)
NUM_STEPS = 100_000  # environment steps after which they were measured
NOT_PUBLISHED = "–"


def published_scores(game: str) -> dict[str, float]:
    """System -> mean return in a game ("ms_pacman"), with "Random" and "Human"; empty if it is none of the 26."""
    return published_table().get(game, {})


def published_table() -> dict[str, dict[str, float]]:
    """Game -> system -> mean return."""
    table = _read("atari100k.tsv")
    return {game: table[_printed(game)] for game in GAMES}


def published_aggregates() -> dict[str, dict[str, float]]:
    """System -> figure of `statistics.Aggregates` -> its value over all 26 games, if it was published."""
    return _read("aggregates.tsv")


def diamond_runs() -> dict[str, tuple[float, ...]]:
    """Game -> returns of DIAMOND's runs."""
    runs = _read("diamond_runs.tsv")
    return {game: tuple(runs[_printed(game)].values()) for game in GAMES}


def _printed(game: str) -> str:
    """ "ms_pacman" -> "MsPacman"."""
    return GAMES[game].task_id.removesuffix("-v5")


def _read(name: str) -> dict[str, dict[str, float]]:
    """First column -> heading -> number."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    (_, *headings), *rows = csv.reader(lines, delimiter="\t")
    return {
        first: {head: float(cell) for head, cell in zip(headings, cells, strict=True) if cell != NOT_PUBLISHED}
        for first, *cells in rows
    }
