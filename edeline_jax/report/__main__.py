"""Prints the scores of a set of runs, and writes them as a page with charts.

Usage: `python -m edeline_jax.report FOLDER [FOLDER ...] [--html=FILE] [--json=FILE]`; includes every run in and below
the folders; `example` is the run that comes with the package. The page of a single run shows all that is known of it,
also while it goes on.
"""

from collections.abc import Sequence

from absl import flags
from etils.epath import Path

from edeline_jax.report.grid import Grid, summarize, to_json
from edeline_jax.report.runs import RunRecord, find_runs, without_repetitions
from edeline_jax.report.table import table
from edeline_jax.runtime import command_line
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path, write_json
from edeline_jax.workdir.example import run_path

HTML = flags.DEFINE_string("html", "", "Also write a page to this file; it needs no other file and no network.")
JSON = flags.DEFINE_string("json", "", "Also write the figures to this file.")


def main(argv: Sequence[str]) -> None:
    """Prints the table of the runs below the folders argv[1:]."""
    folders = [run_path(name) for name in argv[1:]]
    if not folders:
        raise UserError("usage: python -m edeline_jax.report FOLDER [FOLDER ...] [--html=FILE] [--json=FILE]")
    for folder in folders:
        if not folder.exists():
            raise UserError(f"{folder}: no such folder")

    runs = without_repetitions(find_runs(folders, command_line.warn), command_line.warn)
    if not runs:
        raise UserError(f"{', '.join(argv[1:])}: no run there; the folder of a run has a config.json")
    grid = summarize(runs)
    command_line.say(table(grid))
    if JSON.value:
        write_json(to_path(JSON.value), to_json(grid))
    if HTML.value:
        _write_page(to_path(HTML.value), runs, grid)


def _write_page(path: Path, runs: list[RunRecord], grid: Grid) -> None:
    from edeline_jax.report.page.grid_page import write_grid_page  # with its libraries: who wants a table does not wait
    from edeline_jax.report.page.run_page import write_run_page

    if len(runs) == 1:
        write_run_page(runs[0], path)
    else:
        write_grid_page(grid, runs, path)
    command_line.say(f"\n{path}")


def cli() -> None:
    """The program with its flags."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
