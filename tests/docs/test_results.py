"""docs/results.md is what its generator makes; its figures of this program stand in benchmarks/RESULTS.md."""

import re

from docs.results import page
from edeline_jax.report import published
from tests.runs import ROOT

MEASURED = (ROOT / "benchmarks" / "RESULTS.md").read_text()


def test_the_page_is_made_from_the_published_scores() -> None:
    """If not: `python -m docs.results > docs/results.md`."""
    assert (ROOT / "docs" / "results.md").read_text() == page()


def test_every_game_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", page(), re.MULTILINE)
    assert rows == list(published.published_table()) and len(rows) == 26
    assert "| `breakout` | 1.7 | 30.5 | 132.5 (4.54) | 250.5 (8.64) | – |\n" in page()


def test_figures_of_this_program_are_measured_ones() -> None:
    """Each appears on the page, and in the results in the words that follow it here."""
    for figure, words in {
        "16.2 hours": "**16.2 h** at these rates",
        "24.7 and 118.9 ms": "| actor-critic update | 182.8 (182.6, 182.8, 201.9) | **118.9**",
        "4.45 EFLOP": "is 4.45 EFLOP: 1.6 hours at 790 TFLOP/s",
        "83 and 207 s": "206.5 s",
        "0.90, 1.00, 0.98": "| 2 | −0.68 / 0.16 / 0.68 / 0.88 / 0.96 | 0.98 | **0.98** | 41 |",
        "0.94": "**0.94** over 100 games",
        "0.6 to 2.5": "returns 1.62 and 2.50",
        "-19.5": "random play -19.5",
    }.items():
        assert figure in page() and words in MEASURED, figure
