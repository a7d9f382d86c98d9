"""Prints docs/results.md: what the paper and this program reached in every game, and what a run costs.

    python -m docs.results > docs/results.md

The published scores are those that come with the package, in edeline_jax/report/published.
"""

from collections.abc import Sequence

from edeline_jax.envs import human_normalised_score
from edeline_jax.report.published import NUM_STEPS, published_table

SYSTEMS = ("DIAMOND", "EDELINE")
INTRODUCTION = f"""\
# Results and costs

Made by `python -m docs.results > docs/results.md` from the scores in `edeline_jax/report/published/`: change those and
[docs/results.py](results.py), not this page.

**No full-length run has been made with this program**, so the last column is empty. It has been run in small settings
only, [see below](#what-has-been-run-here), which compare with nothing that was published.

## Every game of Atari 100k

Mean returns after {NUM_STEPS:,} environment steps, as the EDELINE paper prints them
([Table 1](https://arxiv.org/abs/2502.00466)); in brackets human-normalised, 0 for random play and 1 for the human. A
run of one of these games says its scores when it starts; `python -m edeline_jax.report` sets finished runs beside them
([scores.md](scores.md)).

| game (`configs/atari.py:GAME`) | random play | human | DIAMOND | EDELINE | this program |
|---|---|---|---|---|---|
"""

COSTS = (
    ("EDELINE's, one game", "one RTX 4090", "2.9 days", "published, for the authors' program"),
    ("DIAMOND's, one game", "one RTX 4090", "2.9 days", "published in the same place"),
    (
        "the same run by this program",
        "one H100, bfloat16",
        "16.2 hours",
        "**projection**: 24.7 and 118.9 ms, the measured times of an update, times 410,000 and 405,000 updates; "
        "collection, tests and saving come on top",
    ),
    ("…", "790 TFLOP/s of any kind", "1.6 hours", "**projection**: the arithmetic alone, 4.45 EFLOP"),
    ("…", "two CPU cores", "years", "**projection**: from single updates, 83 and 207 s each"),
    ("…", "TPU", "", "not run, no projection"),
)
AFTER_COSTS = """
Sources: the paper, and [benchmarks/RESULTS.md](../benchmarks/RESULTS.md) for everything of this program, with commands,
machines and dates. Other accelerators were not measured: at the end of each epoch a run says how much time is left.
On the H100, XLA plans 4.3 GB for the larger update, in bfloat16, beside 1.2 GB of replay.
"""

MEASURED = (
    (
        "`configs/catch.py`: 8,000 steps, learnt from imagination alone; three seeds",
        "two CPU cores",
        "41 to 44 minutes",
        "0.90, 1.00, 0.98 of 100 games each (random play -0.61, perfect 1)",
    ),
    ("the same in bfloat16, seed 0", "one CPU core", "33 minutes", "0.94"),
    (
        "`configs/atari.py:breakout,tiny`: 32 × 32 pixels, 4,800 steps, 80 updates of the actor-critic; far too few",
        "two CPU cores",
        "14 to 30 minutes",
        "0.6 to 2.5 (random play 1.7)",
    ),
    (
        "`configs/atari.py:assault,quickstart`: 16 × 16 pixels, 300 updates of the actor-critic; three seeds",
        "one CPU core each, not alone",
        "5 to 13 minutes",
        "344, 333, 308 of 48 games each (random play 237)",
    ),
    (
        "`configs/atari.py:boxing,example`: 32 × 32 pixels, 60,000 steps, 1,800 updates of the actor-critic; too few",
        "two CPU cores",
        "1 h 51 min",
        "-2.3 of 48 games (random play -0.1)",
    ),
    (
        "`configs/atari.py:pong`, stopped after two thousand updates",
        "one H100",
        "4 minutes",
        "not tested (random play in it: -19.5)",
    ),
)


def page() -> str:
    """The text of docs/results.md."""
    games = "".join(_row(game, scores) for game, scores in published_table().items())
    costs = _table(("run", "hardware", "time", ""), COSTS)
    measured = _table(("setting", "hardware", "time", "mean return"), MEASURED)
    return (
        f"{INTRODUCTION}{games}\n## What a run costs\n\n{costs}{AFTER_COSTS}\n## What has been run here\n\n{measured}"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def _row(game: str, scores: dict[str, float]) -> str:
    reached = " | ".join(f"{scores[name]:,.1f} ({human_normalised_score(game, scores[name]):.2f})" for name in SYSTEMS)
    return f"| `{game}` | {scores['Random']:,.1f} | {scores['Human']:,.1f} | {reached} | – |\n"


if __name__ == "__main__":
    print(page(), end="")
