"""Draws the figures of `benchmarks.recall`: `python -m benchmarks.recall_chart OUT.png LABEL=FILE.json ...`."""

import json
import sys
from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure

SHORT = 3  # the paper's burn-in, frames


def main(out: str, *named: str) -> None:
    """Draws recall in rewards against updates: a panel per delay, a line per seed, dashes for the short burn-in."""
    lines: dict[int, dict] = defaultdict(lambda: defaultdict(list))  # by delay, then by what a line is of
    for number, (label, _, file) in enumerate(name.partition("=") for name in named):
        for seed, updates, _, burn_in, delay, recall, _ in json.loads(Path(file).read_text()):
            lines[delay][label, number, burn_in == SHORT, seed].append((updates, recall))
    figure = Figure(figsize=(9, 3.2), layout="constrained", dpi=120)
    panels = figure.subplots(1, len(lines), sharey=True)
    for axes, delay in zip(panels, sorted(lines), strict=True):
        for (label, number, is_short, _), points in lines[delay].items():
            words = f"{label}, burn-in {SHORT if is_short else 'since the cue'}"
            axes.plot(*zip(*points, strict=True), f"C{number}{'--' if is_short else '-'}", label=words, alpha=0.8)
        axes.axhline(0.5, color="grey", linewidth=0.8)
        axes.set(title=f"{delay} steps after the cue", xlabel="world-model updates", ylim=(0.4, 1.03))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("share of rewards foretold")
    handles, words = panels[0].get_legend_handles_labels()
    once = dict(zip(words, handles, strict=True))  # not for every seed
    figure.legend(once.values(), once, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
