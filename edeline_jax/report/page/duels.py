"""Runs of EDELINE and of DIAMOND in the same game, drawn over each other."""

from typing import NamedTuple

from edeline_jax.report.curves import series
from edeline_jax.report.page.dream import pixel_errors
from edeline_jax.report.page.run_charts import Line, lines_panel
from edeline_jax.report.page.svg import ACCENT, INK, Chart
from edeline_jax.report.runs import RunRecord, read_rows
from edeline_jax.workdir.folder import RunFolder

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
    found = (Duel(game, [chart for chart in (_returns(own), _pixel_errors(own)) if chart]) for game, own in both)
    return [duel for duel in found if duel.charts]


def _returns(runs: list[RunRecord]) -> Chart | None:
    lines = []
    for run in runs:
        tests = series(read_rows(RunFolder(run.folder).metrics), "env_steps", "test/return_mean")
        if tests.size:
            lines.append(Line(*tests, *LOOKS[run.kind]))
    return lines_panel("Return of test games", lines, "environment steps", "game score") if lines else None


def _pixel_errors(runs: list[RunRecord]) -> Chart | None:
    lines = []
    for run in runs:
        if (errors := pixel_errors(RunFolder(run.folder))) is not None:
            lines.append(Line(*errors, *LOOKS[run.kind]))
    title, unit = "Pixel error along the dream", "grey levels of 255"
    return lines_panel(title, lines, "imagined step", unit) if lines else None
