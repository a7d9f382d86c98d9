"""Draws the returns of several runs into one picture: `python -m benchmarks.returns OUT.png RUN [RUN ...]`."""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from edeline_jax.report.curves import series
from edeline_jax.report.runs import read_rows
from edeline_jax.workdir.folder import RunFolder


def main(out: str, *runs: str) -> None:
    """Draws test returns against actor-critic updates, one line per run folder."""
    figure = Figure(figsize=(7, 4), layout="constrained", dpi=120)
    axes = figure.subplots()
    for run in runs:
        seed = json.loads(RunFolder(Path(run)).config.read_text())["seed"]
        updates, returns = series(read_rows(RunFolder(Path(run)).metrics), "actor_critic_updates", "test/return_mean")
        axes.plot(updates, returns, marker=".", label=f"seed {seed}")
    axes.set(xlabel="actor-critic updates", ylabel="mean return of test games")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
