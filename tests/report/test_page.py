"""The pages of runs, read as a browser reads them; test_page_in_browser.py opens them in one."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from edeline_jax.report.__main__ import main
from edeline_jax.report.filmstrip import draw_gif
from edeline_jax.report.page.album import Album
from edeline_jax.report.page.dream import Dream, read_dream
from edeline_jax.report.page.quantities import quantity
from edeline_jax.report.page.run_charts import MOST_POINTS, thinned
from edeline_jax.report.page.run_page import RunPage, read_run_page, write_run_page
from edeline_jax.report.page.sections import sections, time_spent
from edeline_jax.report.runs import find_runs
from edeline_jax.runtime.errors import UserError
from edeline_jax.workdir.folder import RunFolder
from tests.in_process import call
from tests.report.elements import Element, parse
from tests.report.folders import metrics, write_grid, write_lines, write_run, write_whole_run

EVIL = '<script>alert("$x^{1}$")</script>'


def page_of(folder: Path, *flags: str) -> Element:
    """The page that the program writes of the runs in a folder."""
    path = folder.parent / "page.html"
    call(main, folder, f"--html={path}", *flags)
    return parse(path.read_text())


def run_page(folder: Path) -> RunPage:
    (run,) = find_runs([folder], print)
    return read_run_page(run)


def panels(page: Element) -> dict[str, Element]:
    """The small charts by title."""
    figures = page.all("figure", **{"class": "chart"})
    return {figure.one("figcaption").text: figure.one("svg") for figure in figures if figure.all("figcaption")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {"seed": 3, "env.num_envs": 8, "agent.compute_dtype": "bfloat16", "wandb.group": "mine"}
    return write_whole_run(tmp_path_factory.mktemp("whole") / "run", changes=changes)


@pytest.fixture(scope="module")
def page(whole: Path) -> Element:
    return page_of(whole)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("many") / "grid")


@pytest.fixture(scope="module")
def grid_page(grid: Path) -> Element:
    return page_of(grid)


def test_page_table_and_json_have_the_same_figures(grid: Path, capsys: pytest.CaptureFixture) -> None:
    """All of those of games, over games and of the profile."""
    page = page_of(grid, f"--json={grid.parent / 'grid.json'}")
    tree, printed = json.loads((grid.parent / "grid.json").read_text()), capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]

    def shown(value: float | None, digits: int = 3) -> str:
        return "-" if value is None else f"{value:,.{digits}f}"

    columns = [cell.text for cell in page.one("section", id="games").all("th")][:16]
    assert columns[6:10] == ["EDELINE", "DIAMOND", "Human", "Random"] and len(set(columns)) == 16
    for game, figures in tree["games"].items():
        cells = [cell.text for cell in page.one("tr", data_game=game).all("td")]
        names = ("mean", "std", "standard_error")
        expected = [f"{figures['num_finished']}/{figures['num_runs']}", *(shown(figures[name], 2) for name in names)]
        expected.append(shown(figures["human_normalised"]))
        assert cells == [*expected, *(shown(figures["published"][system], 2) for system in columns[6:])]
        assert [game, *expected, cells[6], cells[5]] in lines  # in the terminal DIAMOND comes first

    overall = tree["overall"]
    systems = {"these runs": overall["scores"], **overall["published"]}
    rows = {row.one("th").text: row for row in page.one("table", id="aggregates").one("tbody").all("tr")}
    assert list(rows) == ["these runs", *reversed(overall["published"])]
    for system, figures in systems.items():
        for end in ("value", "low", "high"):
            cells = [cell.text for cell in rows[system].all("span", data_figure=end)]
            row = figures[end]
            expected = [] if row is None else [shown(row[name], 0 if name == "superhuman" else 3) for name in row]
            assert cells == expected, (system, end)
            label = {"value": system.split(), "low": ["95", "%", "from"], "high": ["to"]}[end]
            assert not cells or [*label, *cells] in lines
    for end in ("value", "low", "high"):
        cells = [cell.text for cell in page.one("table", id="shares").all("span", data_figure=end)]
        assert cells == [shown(share) for share in overall["profile"][end]]
        assert any(line[-7:] == cells for line in lines)
    better = [shown(overall["better_than_diamond"][end]) for end in ("value", "low", "high")]
    assert "Better than DIAMOND {} {} to {} probability".format(*better) in page.one("dl").text
    assert "in the same game with probability {} (95 %: {} to {})".format(*better) in printed


def test_page_table_and_json_of_one_run_have_the_same_score(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = write_whole_run(tmp_path / "run", finished=True)
    page = page_of(folder, f"--json={tmp_path / 'run.json'}")
    tree = json.loads((tmp_path / "run.json").read_text())["games"]["breakout"]
    line = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("breakout"))
    scores = {item.one("dt").text: item for item in page.one("dl", id="scores").all("div")}
    returns = {name: item.one("span", data_figure="return").text for name, item in scores.items()}
    assert list(scores) == ["This run", "EDELINE", "DIAMOND", "Human", "Random"]
    assert returns["This run"] == f"{tree['mean']:,.2f}" == line[2] == "20.00"
    assert (returns["DIAMOND"], returns["EDELINE"]) == (line[-2], line[-1]) == ("132.50", "250.50")
    assert all(returns[name] == f"{tree['published'][name]:.2f}" for name in list(returns)[1:])
    normalised = scores["This run"].one("span", data_figure="human-normalised").text
    assert normalised == line[-3] == f"{tree['human_normalised']:.3f}" == f"{(20 - 1.7) / 28.8:.3f}"
    assert "± 3.00 standard error over 5 games" in scores["This run"].text  # 6 / (5 - 1) ** 0.5
    assert "after 100,000 environment steps; this run took 12,000" in page.text


def test_the_page_of_a_running_run_loads_itself_again(page: Element, tmp_path: Path) -> None:
    assert page.one("meta", http_equiv="refresh").attributes["content"] == "120"
    assert page.one("div", role="progressbar").attributes["aria-valuenow"] == "12"  # 12,000 of 100,000 steps
    assert "not finished" in page.one("header").text and "last test; ±" in page.one("dl", id="scores").text
    over = page_of(write_whole_run(tmp_path / "over", finished=True))
    assert not over.all("meta", http_equiv="refresh") and not over.all("div", role="progressbar")
    assert over.one("header").one("span").text == "finished"


def test_a_page_loads_nothing(page: Element, grid_page: Element) -> None:
    for one in (page, grid_page):
        policy = one.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
        assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        elements = [element for tag in ("img", "link", "a", "use", "script", "iframe") for element in one.all(tag)]
        targets = {element.attributes.get(k) for element in elements for k in ("src", "href", "xlink:href")} - {None}
        assert elements and all(target.startswith(("data:", "#")) for target in targets)
        assert "url(" not in one.one("style").text and not one.all("script")


def test_every_axis_says_what_it_shows_and_no_two_elements_share_an_id(page: Element, grid_page: Element) -> None:
    for one, number in ((page, 25), (grid_page, 6)):
        charts = one.all("svg")
        assert len(charts) == number
        for chart in charts:
            name = chart.attributes["aria-label"]
            axes = [label.text for kind in ("x-label", "y-label") for label in chart.all("g", **{"class": kind})]
            assert len(axes) >= 2 and all(axes), name
            assert chart.attributes["viewbox"] and "width" not in chart.attributes, name
        ids = [
            id
            for tag in ("svg", "g", "path", "clippath", "section", "dl", "table")
            for e in one.all(tag)
            if (id := e.attributes.get("id"))
        ]
        assert len(ids) == len(set(ids))


def test_charts_have_the_colours_of_the_page(page: Element) -> None:
    drawn = [element for chart in page.all("svg") for tag in ("path", "text", "use") for element in chart.all(tag)]
    styles = " ".join(element.attributes.get("style") or "" for element in drawn)
    colours = set(re.findall(r"(?:stroke|fill): ([^;\s]+)", styles))
    assert colours == {"none", *(f"var(--{name})" for name in ("ink", "muted", "line", "accent", "paper"))}


def test_names_and_values_of_foreign_files_are_text(tmp_path: Path) -> None:
    folder = write_whole_run(tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["env"]["id"] = config["agent"]["compute_dtype"] = config[EVIL] = EVIL
    (folder / "config.json").write_text(json.dumps(config))
    rows = [row | {f"world_model/{EVIL}": 1.0, f"seconds/{EVIL}": 1.0} for row in metrics(4)]
    write_lines(folder / "metrics.jsonl", rows)
    write_lines(folder / "starts.jsonl", [{"devices": EVIL, "versions": EVIL, "time": EVIL}])
    dream = json.loads((folder / "report" / "dream.json").read_text())
    dream["starts"][0] |= {"title": EVIL, "strip": EVIL}
    (folder / "report" / "dream.json").write_text(json.dumps(dream))
    (folder / "evaluation" / f"{EVIL.replace('/', '')}.json").write_text("{")
    page = page_of(folder)
    assert not page.all("script") and page.one("h1").text == EVIL.title()
    assert page.one("section", id="facts").text.count(EVIL) >= 4 and EVIL in page.one("section", id="time").text
    assert EVIL.capitalize() in page.one("section", id="dream").text and EVIL in "".join(panels(page))
    write_run(tmp_path / "two" / "a", EVIL, 0, 1.0)
    write_run(tmp_path / "two" / "b", "pong", 0, 1.0)
    many = page_of(tmp_path / "two")
    assert not many.all("script") and many.one("tr", data_game=EVIL).one("th").text == EVIL.title()


def test_a_run_stands_beside_the_papers_config(whole: Path, page: Element) -> None:
    """Game, seed and the copy on wandb make no other experiment."""
    rows = run_page(whole).differences
    assert rows == [("env.num_envs", "8", "1"), ("agent.compute_dtype", '"bfloat16"', '"float32"')]
    facts = page.one("section", id="facts")
    assert "2 keys differ from the paper’s config" in facts.text
    names, values = ([item.text for item in facts.all(tag)] for tag in ("dt", "dd"))
    assert dict(zip(names, values, strict=True)) == {
        "Game": "breakout",
        "Seed": "3",
        "Epochs": "20",
        "Environment steps": "12,000",
        "Updates, world model": "8,000",
        "Updates, actor-critic": "6,000",
        "Time": "20.0 hours",
        "Hardware": "1 x H100 (gpu)",
        "Versions": "JAX 1",
        "Started": "2 times, 2026-01-01 10:00 +0000 to 2026-01-02 10:00 +0000",
        "Folder": str(whole),
    }


def test_every_metric_has_its_chart(page: Element) -> None:
    assert list(panels(page)) == [
        *("Pixel error along the dream", "F1 of rewards along the dream", "Starts still going"),
        "Calibration of rewards",
        *("Denoising", "Reward", "Harmonizer of the reward, s₁"),
        *("F1, end yes", "Precision, end yes", "Recall, end yes", "F1, reward positive", "F1, reward zero"),
        "Accuracy, end",
        *("Pixel error, one step ahead", "Gradient norm, before clipping", "Policy entropy"),
        *("Return, collected games", "Length of a game, collected games", "Return, test games"),
        *("Time of an update, actor-critic", "Device"),
    ]


def test_each_of_diamond_s_gradient_norms_has_its_chart() -> None:
    rows = [
        {"world_model_updates": n, "world_model/grad_norm_rew_end_model": 9.0 * n, "world_model/grad_norm_denoiser": n}
        for n in (1, 2)
    ]
    (section,) = sections(rows)
    titles = [chart.title for chart in section.rows["Pixels and gradients"]]
    assert titles == ["Gradient norm, denoiser", "Gradient norm, reward and end"]


@pytest.mark.parametrize(
    ("name", "title", "unit", "factor"),
    [
        ("policy_entropy", "Policy entropy", "nats", math.log(2)),  # the file holds bits
        ("f1_rew_positive", "F1, reward positive", "share, 0 to 1", 1),
        ("end_precision", "Precision, end", "share, 0 to 1", 1),
        ("host_peak_bytes", "Host peak", "GB", 1e-9),
        ("host_mib", "Host", "GiB", 2**-10),
        ("seconds_of_something", "Seconds of something", "seconds", 1),
        ("new_metric", "New metric", "value", 1),
    ],
)
def test_quantities_have_units(name: str, title: str, unit: str, factor: float) -> None:
    assert quantity(name) == (title, unit, pytest.approx(factor))


def test_entropy_is_drawn_in_nats(page: Element) -> None:
    """Two bits are 1.386 nats: the axis of the flat line ends within a few per cent of it."""
    texts = [text.text for text in panels(page)["Policy entropy"].all("text")]
    numbers = [float(text) for text in texts if re.fullmatch(r"\d\.\d+", text)]
    assert min(numbers) < math.log(4) < max(numbers) and max(numbers) < 1.5


def test_long_curves_are_thinned_to_means_and_ranges() -> None:
    x = np.arange(4.0 * MOST_POINTS)
    curve = thinned(x, np.where(x % 4 == 3, 8.0, 0.0))
    assert (curve.mean == 2).all() and (curve.low == 0).all() and (curve.high == 8).all()
    assert curve.x.tolist() == [1.5 + 4 * i for i in range(MOST_POINTS)]
    assert thinned(x[:3], x[:3]).mean.tolist() == [0, 1, 2]


def test_the_time_is_shared_out(whole: Path) -> None:
    page = run_page(whole)
    assert [(phase.name, round(phase.hours, 9), round(phase.share, 9)) for phase in page.phases] == [
        ("world model", 16.0, 80.0),
        ("collect", 4.0, 20.0),
    ]
    assert time_spent([])[0] is None


def test_the_dream_shows_its_starts(page: Element) -> None:
    dream = page.one("section", id="dream")
    captions = [item.text for item in dream.all("figcaption")]
    assert captions[:4] == [
        *(
            f"{start} of 255"
            for start in ("Best pixel error 2.50", "Median pixel error 3.50", "Worst pixel error 4.50")
        ),
        "A frame out of noise step by step",
    ]
    kinds = [image.attributes["src"].partition(";")[0] for image in dream.all("img")]
    assert kinds == ["data:image/gif", "data:image/png"] * 3 + ["data:image/png"]
    assert "after epoch 15, 11,500 environment steps" in dream.text


def dream_of(folder: Path, model_free: bool = False) -> Dream:
    return read_dream(RunFolder(folder), model_free, Album())


def test_without_a_dream_the_page_says_when_it_comes(tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.mkdir()
    assert dream_of(tmp_path).notes == [
        "The first films come with the first test that is at least five minutes after the start."
    ]
    film = np.zeros((2, 8, 8, 3), np.uint8)
    draw_gif(film, film, report / "imagination.gif")
    ((title, error, strip, film),) = dream_of(tmp_path).starts
    assert (title, error, strip.why) == ("one start", None, "is not there") and film.source.startswith("data:image/gif")
    assert dream_of(tmp_path, model_free=True).notes == ["This run learns without a world model: there is no dream."]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("{", "dream.json cannot be read: "),
        ("[]", "dream.json cannot be read: "),
        ('{"starts": [{"title": "best"}]}', "dream.json cannot be read: 'strip'"),
        (
            '{"epoch": 1, "env_steps": 2, "horizon": {"steps": [1, 2], "pixel_error": [1]}}',
            "a part of dream.json cannot be drawn: 1 values for 2 places",
        ),
        ('{"epoch": 1, "env_steps": 2, "calibration": [1]}', "a part of dream.json cannot be drawn: "),
    ],
)
def test_a_damaged_dream_is_said(tmp_path: Path, content: str, note: str) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "dream.json").write_text(content)
    assert dream_of(tmp_path).notes[0].startswith(note)


@pytest.mark.parametrize("name", ["../film.gif", "below/film.gif", ".film.gif", "a\\b.gif", "config.json", "", 7, None])
def test_only_pictures_of_the_folder_are_taken(tmp_path: Path, name: object) -> None:
    report, film = tmp_path / "report", np.zeros((2, 8, 8, 3), np.uint8)
    (report / "below").mkdir(parents=True)
    for path in ("film.gif", "../film.gif", "below/film.gif", ".film.gif", "a\\b.gif"):
        draw_gif(film, film, report / path)
    (report / "config.json").write_text("{}")
    assert Album().picture(report, "film.gif").source.startswith("data:image/gif;base64,R0lG")
    assert Album().picture(report, name).source == "" != Album().picture(report, name).why


def test_pictures_that_are_too_large_stay_where_they_are(whole: Path) -> None:
    report = whole / "report"
    small = Album(most_bytes=(report / "imagination-best.gif").stat().st_size)
    assert small.picture(report, "imagination-best.gif").source
    assert f"is too large for this page; it is in {report}" in small.picture(report, "denoising.png").why


def test_evaluations_are_shown(page: Element) -> None:
    exams = page.one("section", id="exams")
    rows = [[cell.text for cell in row.all("td")] for row in exams.one("tbody").all("tr")]
    assert rows == [
        ["100", "25.25", "1.50", "22.50 to 28.00", "0.818", "812.5"],
        ["100", "1.50", "-", "-", "-", "180.0"],
    ]
    assert exams.one("figcaption").text == "Best, return 41.00" and len(exams.all("img")) == 1


def test_a_probe_is_no_evaluation(tmp_path: Path) -> None:
    folder = write_whole_run(tmp_path / "run")
    before = page_of(folder).one("section", id="exams").text
    (folder / "evaluation" / "epoch-1-seed-0-probe.json").write_text('{"next_frame": {}}')
    assert page_of(folder).one("section", id="exams").text == before


def test_a_run_that_has_only_begun_has_a_page(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", "ms_pacman", 0))
    assert page.one("h1").text == "Ms Pacman" and "no test yet" in page.text and not page.all("svg")
    assert "The paper did not play this game." in page_of(write_run(tmp_path / "catch", "catch", 0, 1.0)).text


def test_numbers_that_nobody_can_draw_do_not_cost_the_page(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Neither do very small ones, nor a value that is everywhere the same."""
    folder, last = write_whole_run(tmp_path / "run"), metrics()[-1]
    changes = [
        (name, value) for name in ("env_steps", "wall_time", "world_model/loss_rew") for value in (1e308, -1e308)
    ]
    changes += [("world_model/loss_rew", 1e-308), ("seconds/collect", 0.0)]
    rows = [last | {"epoch": epoch, name: value} for epoch, (name, value) in enumerate(changes, start=21)]
    write_lines(folder / "metrics.jsonl", [*metrics(), *rows])
    page = page_of(folder)
    assert "Reward" in panels(page) and page.all("section", id="time") and not recwarn.list


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (run,) = find_runs([write_run(tmp_path / "run", "pong", 0)], print)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "missing" / "page.html"):
        with pytest.raises(UserError, match="cannot write"):
            write_run_page(run, path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "run"]
