"""Runs of EDELINE and of DIAMOND in the same game, drawn over each other."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edeline_jax.report.curves import series
from edeline_jax.report.page.dream import pixel_errors
from edeline_jax.report.page.run_charts import Line, lines_panel
from edeline_jax.report.page.svg import ACCENT, INK, Chart
from edeline_jax.report.runs import RunRecord, read_rows
from edeline_jax.workdir.folder import RunFolder

Points = Callable[[RunFolder], tuple[np.ndarray, np.ndarray] | None]  # x and y of a run's curve, [N]; None: no curve
LOOKS = {"edeline": ("o-", ACCENT), "diamond": ("o--", INK)}


class Duel(NamedTuple):
    """A game that both have played, and the charts for which their runs have left something."""

    game: str
    charts: list[Chart]


def duels(runs: list[RunRecord]) -> list[Duel]:
    """One for each game with runs of both, finished or not."""
    by_game: dict[str, list[RunRecord]] = {}
    for run in runs:
        by_game.setdefault(run.game, []).append(run)
    both = ((game, own) for game, own in by_game.items() if {run.kind for run in own} == set(LOOKS))
    found = (Duel(game, [chart for chart in _charts(own) if chart is not None]) for game, own in both)
    return [duel for duel in found if duel.charts]


def _charts(runs: list[RunRecord]) -> tuple[Chart | None, ...]:
    return (
        _overlaid(runs, _returns, "Return of test games", "environment steps", "game score"),
        _overlaid(runs, pixel_errors, "Pixel error along the dream", "imagined step", "grey levels of 255"),
    )


def _overlaid(runs: list[RunRecord], points: Points, title: str, x_label: str, y_label: str) -> Chart | None:
    found = ((run.kind, points(RunFolder(run.folder))) for run in runs)
    lines = [Line(*curve, *LOOKS[kind]) for kind, curve in found if curve is not None]
    return lines_panel(title, lines, x_label, y_label) if lines else None


def _returns(folder: RunFolder) -> tuple[np.ndarray, np.ndarray] | None:
    steps, returns = series(read_rows(folder.metrics), "env_steps", "test/return_mean")
    return (steps, returns) if steps.size else None
