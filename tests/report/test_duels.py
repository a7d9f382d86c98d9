"""EDELINE's runs and DIAMOND's of the same game on one page."""

import json
from pathlib import Path

import pytest

from edeline_jax.report.__main__ import main
from edeline_jax.report.page import duels
from edeline_jax.report.page.run_charts import Line
from edeline_jax.report.page.svg import ACCENT, INK
from edeline_jax.report.runs import find_runs
from tests.in_process import call
from tests.report.elements import Element, parse
from tests.report.folders import write_run


def write_pair(folder: Path) -> None:
    """Two runs each of Boxing, one of Pong by EDELINE alone; DIAMOND's second run has not dreamt."""
    write_run(folder / "pong", "pong", 0, 1.0)
    for kind, scores in {"edeline": (12.1, 24.1), "diamond": (0.1, 20.0)}.items():
        for seed, score in enumerate(scores):
            counters = [{"epoch": e, "world_model_updates": 0, "actor_critic_updates": 0} for e in (1, 2)]
            rows = tuple(c | {"env_steps": 100 * c["epoch"], "test/return_mean": score * c["epoch"]} for c in counters)
            run = write_run(folder / f"{kind}{seed}", "boxing", seed, score, rows, kind=kind)
            if (kind, seed) != ("diamond", 1):
                (run / "report").mkdir()
                horizon = {"steps": [1, 2, 5], "pixel_error": [score, score + 1, None]}
                (run / "report" / "dream.json").write_text(json.dumps({"horizon": horizon}))


def page_of(folder: Path) -> Element:
    path = folder / "page.html"
    call(main, folder, f"--html={path}")
    return parse(path.read_text())


def test_their_curves_lie_over_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[Line]] = {}
    monkeypatch.setattr(duels, "lines_panel", lambda title, lines, *_: drawn.setdefault(title, lines))
    write_pair(tmp_path)
    (duel,) = duels.duels(find_runs([tmp_path], pytest.fail))
    assert duel.game == "boxing"
    returns, errors = drawn["Return of test games"], drawn["Pixel error along the dream"]
    assert sorted((line.colour, line.x.tolist(), line.y.tolist()) for line in returns) == sorted(
        (colour, [100, 200], [score, 2 * score])
        for colour, score in ((ACCENT, 12.1), (ACCENT, 24.1), (INK, 0.1), (INK, 20.0))
    )
    assert sorted((line.colour, line.y.tolist()[:2]) for line in errors) == sorted(
        (colour, [score, score + 1]) for colour, score in ((ACCENT, 12.1), (ACCENT, 24.1), (INK, 0.1))
    )


def test_the_page_says_how_probably_one_is_better(tmp_path: Path) -> None:
    write_pair(tmp_path)
    section = page_of(tmp_path).one("section", id="duels")
    assert "0.750" in section.text and "Boxing" in section.text and "Pong" not in section.text
    assert [figure.one("figcaption").text for figure in section.all("figure")] == [
        "Return of test games",
        "Pixel error along the dream",
    ]


def test_diamonds_runs_alone_have_a_page_without_a_duel(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / str(seed), "boxing", seed, 3.0, kind="diamond")
    page = page_of(tmp_path)
    assert page.all("section", id="duels") == [] and "Boxing (DIAMOND)" in page.text
