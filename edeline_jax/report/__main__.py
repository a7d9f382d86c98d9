"""Prints the scores of a set of runs.

Usage: `python -m edeline_jax.report FOLDER [FOLDER ...] [--json=FILE]`; includes every run in and below the folders.
"""

from collections.abc import Sequence

from absl import flags

from edeline_jax.report.grid import summarize, to_json
from edeline_jax.report.runs import find_runs, without_repetitions
from edeline_jax.report.table import table
from edeline_jax.runtime import command_line
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path, write_json

JSON = flags.DEFINE_string("json", "", "Also write the figures to this file.")


def main(argv: Sequence[str]) -> None:
    """Prints the table of the runs below the folders argv[1:]."""
    folders = [to_path(name) for name in argv[1:]]
    if not folders:
        raise UserError("usage: python -m edeline_jax.report FOLDER [FOLDER ...] [--json=FILE]")
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


def cli() -> None:
    """The program with its flags."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
