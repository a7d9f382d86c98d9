"""The page of many runs."""

from typing import NamedTuple

from etils.epath import Path

from edeline_jax.envs import GAMES
from edeline_jax.report.grid import Grid, counted
from edeline_jax.report.page.duels import Duel, duels
from edeline_jax.report.page.grid_charts import aggregates_chart, games_chart, profile_chart
from edeline_jax.report.page.rendering import write_page
from edeline_jax.report.page.run_page import BESIDE, game_title
from edeline_jax.report.page.svg import Chart
from edeline_jax.report.published import published_table
from edeline_jax.report.runs import RunRecord
from edeline_jax.report.table import notes


class GridPage(NamedTuple):
    """Everything on the page of many runs; the figures are those of the grid."""

    grid: Grid
    runs: list[RunRecord]
    charts: dict[str, Chart]  # "aggregates", "profile" and "games"; empty without a finished run of an Atari game
    systems: list[str]  # that played the games, in the order of their columns
    titles: dict[str, str]  # of the runs' titles
    duels: list[Duel]
    notes: list[str]


def write_grid_page(grid: Grid, runs: list[RunRecord], path: Path) -> None:
    """Writes the page of these runs and their figures; raises UserError if it could not be written."""
    finished, charts = counted(runs), {}
    columns = list(next(iter(published_table().values())))
    if grid.overall is not None:
        charts = {
            "aggregates": aggregates_chart(grid.overall),
            "profile": profile_chart(finished),
            "games": games_chart(finished),
        }
    page = GridPage(
        grid=grid,
        runs=runs,
        charts=charts,
        systems=[*BESIDE, *(system for system in reversed(columns) if system not in BESIDE)],
        titles={title: game_title(title) for title in grid.games},
        duels=duels(runs),
        notes=[] if grid.overall is None else notes(grid.overall),
    )
    write_page(path, "grid.html", page=page, num_games=len(GAMES))
