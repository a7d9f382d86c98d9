"""Many runs as one table; the runs here are folders with the files that a run leaves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edeline_jax.envs import GAMES
from edeline_jax.report import grid as grid_module
from edeline_jax.report.grid import summarize, to_json
from edeline_jax.report.published import diamond_runs, published_aggregates
from edeline_jax.report.runs import RunRecord, find_runs, without_repetitions
from edeline_jax.report.table import table
from tests.report.folders import write_run
from tests.runs import assert_one_line_error, module

ENDS = ("value", "low", "high")


def read(*folders: Path) -> tuple[list, list[str]]:
    warnings: list[str] = []
    return find_runs(folders, warnings.append), warnings


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """Random play is 0.1 in Boxing and 0 in Freeway; the human's 12 and 29.6 more."""
    for seed, score in enumerate((0.1, 12.1, 24.1)):  # human-normalised 0, 1, 2
        write_run(tmp_path / "boxing" / str(seed), "boxing", seed, score)
    write_run(tmp_path / "freeway" / "0", "freeway", 0, 2.96)  # 0.1
    write_run(tmp_path / "freeway" / "1", "freeway", 1, 296.0)  # 10
    rows = ({"epoch": 3, "env_steps": 5200, "test/return_mean": 7.5}, {"epoch": 4, "env_steps": 5300})
    write_run(tmp_path / "freeway" / "2", "freeway", 2, rows=rows)
    return tmp_path


def test_diamonds_runs_stand_beside_edelines(tmp_path: Path) -> None:
    """Of the same game and seeds, neither repetitions nor mixed: 3 of the 4 pairs of runs are EDELINE's."""
    for kind, scores in {"edeline": (12.1, 24.1), "diamond": (0.1, 20.0)}.items():
        for seed, score in enumerate(scores):
            write_run(tmp_path / f"{kind}{seed}", "boxing", seed, score, kind=kind)
    runs, warnings = read(tmp_path)
    assert len(runs) == 4 and warnings == []
    found = summarize(runs)
    assert found.games["boxing"].mean == pytest.approx(18.1)
    assert found.games["boxing (DIAMOND)"].mean == pytest.approx(10.05)
    assert found.games["boxing (DIAMOND)"].published == found.games["boxing"].published
    assert found.overall.num_runs == 2 and found.overall.scores.value.mean == pytest.approx(1.5)
    assert found.better_than_control.value == pytest.approx(3 / 4)
    assert "better than one of DIAMOND's here in the same game with probability 0.750" in table(found)
    assert summarize([run for run in runs if run.kind == "diamond"]).overall.num_runs == 2


def test_figures_of_a_grid(grid: Path) -> None:
    runs, warnings = read(grid)
    assert warnings == [] and [(run.game, run.seed) for run in runs] == [
        (g, s) for g in ("boxing", "freeway") for s in range(3)
    ]
    games, overall, unfinished, control = summarize(runs)
    assert control is None
    assert (games["boxing"].num_finished, games["boxing"].num_runs) == (3, 3)
    assert games["boxing"][2:6] == pytest.approx((12.1, 12.0, 12.0 / 3**0.5, 1.0))
    assert games["boxing"].published["EDELINE"] == 88.1
    assert (games["freeway"].num_finished, games["freeway"].num_runs) == (2, 3)
    assert games["freeway"][2:6] == pytest.approx((149.48, 293.04 / 2**0.5, 293.04 / 2, 5.05))
    assert (overall.num_games, overall.num_runs, overall.env_steps) == (2, 5, (100_000, 100_000))
    # Of 0, 0.1, 1, 2, 10 one goes on each side.
    aggregates = ((1 + 5.05) / 2, (1 + 5.05) / 2, (0.1 + 1 + 2) / 3, (1 + 0.9) / 5, 2)
    assert overall.scores.value == pytest.approx(aggregates)
    # Lowest draws: 0, 0, 0 with 0.1, 0.1, 1 of 108; then two 0 and a 1 with 0.1, 0.1, 3 of 108. A fortieth lies there.
    assert overall.scores.low.mean == pytest.approx((1 / 3 + 0.1) / 2)
    assert overall.profile.value == pytest.approx([0.8, 0.6, 0.6, 0.4, 0.2, 0.2, 0.2])
    # All of DIAMOND's runs of Boxing are better than ours; of our two of Freeway one is better than all of its.
    assert overall.better_than_diamond.value == pytest.approx((0 + 0.5) / 2)
    assert [(run.game, run.seed, run.score, run.epoch, run.env_steps) for run in unfinished] == [
        ("freeway", 2, 7.5, 4, 5300)
    ]


def test_the_mean_over_games_is_one_of_games_and_the_median_of_their_means(tmp_path: Path) -> None:
    for game, scores in {"boxing": (0.1, 0.1, 0.1, 12.1), "freeway": (29.6,), "pong": (-20.7,)}.items():
        for seed, score in enumerate(scores):
            write_run(tmp_path / game / str(seed), game, seed, score)
    grid = summarize(read(tmp_path)[0])
    # Games: 1/4, 1, 0. Runs: 0, 0, 0, 0, 1, 1, of which one goes on each side.
    assert grid.overall.scores.value == pytest.approx((1.25 / 3, 0.25, 0.25, 4 / 6, 1))
    assert grid.overall.scores.low is None and grid.overall.profile.low is None
    assert grid.overall.better_than_diamond.low is None
    last = table(grid).splitlines()[-1]
    assert last == "no 95 % intervals: they take two finished runs of every game, and there is one of freeway, pong"


def of_diamond(*games: str, steps: int = 100_000) -> list[RunRecord]:
    """DIAMOND's runs as if they were ours."""
    runs = [(game, seed, score) for game in games for seed, score in enumerate(diamond_runs()[game])]
    return [RunRecord(Path(game), game, seed, True, score, 1000, steps) for game, seed, score in runs]


def test_all_games_stand_beside_what_the_paper_prints() -> None:
    grid = summarize(of_diamond(*GAMES))
    assert grid.overall.scores == grid.overall.published["DIAMOND"]
    assert grid.overall.better_than_diamond.value == pytest.approx(0.5)
    for system, figures in published_aggregates().items():
        row = grid.overall.published[system].value
        assert {name: round(getattr(row, name), 3) for name in figures} == figures, system
        assert [name for name in row._fields if getattr(row, name) is None] == [
            n for n in row._fields if n not in figures
        ]
    text = table(grid)
    assert "\nhuman-normalised scores over 26 of 26 games, 130 runs\n" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["EDELINE", "1.866", "0.817", "0.940", "0.387", "13"] in lines
    assert ["Drama", "0.989", "0.270", "-", "-", "7"] in lines
    assert "steps" not in text


def test_fewer_games_stand_beside_the_published_systems_on_the_same() -> None:
    grid = summarize(of_diamond("boxing", "pong", steps=4_800))
    overall = grid.overall
    edeline = ((88.1 - 0.1) / 12, (20.5 + 20.7) / 35.3)
    assert overall.published["EDELINE"].value[:2] == pytest.approx((sum(edeline) / 2, sum(edeline) / 2))
    assert overall.published["EDELINE"].value[2:] == (None, None, 2)
    assert overall.published["DIAMOND"] == overall.scores and None not in overall.scores.value
    lines = table(grid).splitlines()
    title = "human-normalised scores over 2 of 26 games, 10 runs; the published systems over the same 2"
    assert title in lines
    assert lines[-1] == "the published scores are after 100,000 steps, these runs took 4,800"


def test_a_system_that_lacks_a_game_has_no_aggregates(monkeypatch: pytest.MonkeyPatch) -> None:
    real = grid_module.published_scores
    monkeypatch.setattr(
        grid_module,
        "published_scores",
        lambda game: {name: score for name, score in real(game).items() if (game, name) != ("pong", "Drama")},
    )
    published = summarize(of_diamond("boxing", "pong")).overall.published
    assert published["Drama"].value == (None,) * 5 and published["STORM"].value.mean is not None
    assert ["Drama", *"-----"] in [line.split() for line in table(summarize(of_diamond("boxing", "pong"))).splitlines()]


def test_the_table_and_the_json_have_the_same_figures(grid: Path) -> None:
    """Every number of the table, but for the systems beside the games, read back and looked up in the JSON."""
    summary = summarize(read(grid)[0])
    tree = json.loads(json.dumps(to_json(summary)))
    overall = tree["overall"]
    blocks = [[line.split() for line in block.splitlines()] for block in table(summary).split("\n\n")]
    games, aggregates, profile, *_ = blocks

    def shown(figure: float | None, digits: int) -> str:
        return "-" if figure is None else f"{figure:,.{digits}f}"

    for line in games[1:]:
        game = tree["games"][line[0]]
        assert line[1] == f"{game['num_finished']}/{game['num_runs']}"
        assert line[2:5] == [shown(game[name], 2) for name in ("mean", "std", "standard_error")]
        assert line[5] == shown(game["human_normalised"], 3)
        assert line[6:] == [shown(game["published"][system], 2) for system in ("DIAMOND", "EDELINE")]
    systems = {"these runs": overall["scores"], **overall["published"]}
    expected = [
        [f"{row[name]:g}" if name == "superhuman" else shown(row[name], 3) for name in row]
        for figures in systems.values()
        for row in (figures["value"], figures["low"], figures["high"])
        if row is not None
    ]
    assert [line[-5:] for line in aggregates[2:]] == expected and len(expected) == 8 + 1 + 2 * 2
    assert [float(number) for number in profile[0][2:]] == overall["thresholds"]
    assert [line[-7:] for line in profile[1:]] == [[shown(x, 3) for x in overall["profile"][end]] for end in ENDS]
    better = [shown(overall["better_than_diamond"][end], 3) for end in ENDS]
    sentence = "in the same game with probability {} (95 %: {} to {})".format(*better)
    assert sentence in table(summary)


def test_catch_has_no_human_normalised_score_and_no_game_no_score(tmp_path: Path) -> None:
    write_run(tmp_path / "catch", "catch", 0, 0.5)
    write_run(tmp_path / "static", "none", 0, 0.0)
    games, overall, *_ = summarize(read(tmp_path)[0])
    assert overall is None
    assert games == {"catch": (1, 1, 0.5, None, None, None, {}), "none": (1, 1, None, None, None, None, {})}


def test_games_beyond_the_26_have_their_row_and_no_share_in_the_figures_over_games(grid: Path) -> None:
    before = summarize(read(grid)[0])
    write_run(grid / "zaxxon", "zaxxon", 0, 9173.3)
    write_run(grid / "donkey_kong", "donkey_kong", 0, 300.0)
    after = summarize(read(grid)[0])
    assert after.overall == before.overall
    alone = {"zaxxon": (1, 1, 9173.3, None, None, 1.0, {}), "donkey_kong": (1, 1, 300.0, None, None, None, {})}
    assert after.games == before.games | alone
    assert "2 of 26 games, 5 runs" in table(after)


def test_damaged_and_foreign_files_are_named_and_passed_over(grid: Path) -> None:
    (grid / "boxing" / "0" / "config.json").write_text('{"seed": 0, "env"')
    (grid / "boxing" / "1" / "summary.json").write_text(
        '{"return_mean": NaN, "progress": {"epoch": 1, "env_steps": 2}}'
    )
    (grid / "freeway" / "2" / "metrics.jsonl").write_bytes(b"\xff\xfe")
    (grid / "config.json").write_text('{"editor": "vi"}')
    (grid / "other").mkdir()
    (grid / "other" / "config.json").write_text("[]")
    runs, warnings = read(grid)
    for name in ("boxing/0/config.json", "boxing/1/summary.json", "freeway/2/metrics.jsonl", "config.json"):
        assert any(line.startswith(f"{grid / name}: ") for line in warnings), warnings
    assert len(warnings) == 5
    assert [(run.game, run.seed, run.finished) for run in runs] == [
        ("boxing", 1, False),
        ("boxing", 2, True),
        ("freeway", 0, True),
        ("freeway", 1, True),
        ("freeway", 2, False),
    ]


def test_the_same_run_twice_is_one(grid: Path) -> None:
    """A copied folder, and a start with the same game and seed elsewhere; runs of two datasets are two."""
    for number in range(2):
        write_run(grid / "static" / str(number), "none", 0, 0.0)
    write_run(grid / "copy of freeway 1", "freeway", 1, 296.0)
    write_run(grid / "freeway" / "2 again", "freeway", 2, 3.0)  # finished, the other is not
    warnings: list[str] = []
    runs = without_repetitions(read(grid)[0], warnings.append)
    assert [(run.game, run.seed, run.finished) for run in runs] == [
        *(("boxing", seed, True) for seed in range(3)),
        *(("freeway", seed, True) for seed in range(3)),
        *(("none", 0, True) for _ in range(2)),
    ]
    assert [line.split(": ")[1] for line in sorted(warnings)] == [
        f"freeway with seed 1 again, as in {grid / 'copy of freeway 1'}; not counted",
        f"freeway with seed 2 again, as in {grid / 'freeway' / '2 again'}; not counted",
    ]


def test_what_never_ran_is_no_run(grid: Path) -> None:
    """A converted agent, and a start that was refused."""
    for name in ("converted/agents/0", "refused"):
        (grid / name).mkdir(parents=True)
        (grid / name.split("/")[0] / "config.json").write_text('{"seed": 7, "env": {"id": "pong"}}')
    runs, warnings = read(grid)
    assert warnings == [] and {run.game for run in runs} == {"boxing", "freeway"}


def test_one_number_that_is_none_does_not_cost_the_table(grid: Path) -> None:
    (grid / "boxing" / "0" / "config.json").write_text('{"seed": Infinity, "env": {"id": "boxing"}}')
    (grid / "boxing" / "1" / "summary.json").write_text(
        '{"return_mean": 1, "progress": {"epoch": 1e999, "env_steps": 2}}'
    )
    runs, warnings = read(grid)
    assert len(warnings) == 2 and len(runs) == 5


def test_a_line_cut_short_is_no_damage(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "pong", 0, rows=({"epoch": 7, "env_steps": 5600},))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 8, "env_st')
    (run,), warnings = read(tmp_path)
    assert warnings == [] and (run.epoch, run.env_steps, run.score) == (7, 5600, None)


def test_a_run_counts_once_and_is_not_searched(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "pong", 0, 1.0)
    write_run(folder / "set_aside" / "1", "pong", 0, 1.0)
    assert [run.folder for run in read(tmp_path, folder, tmp_path)[0]] == [folder]


def test_the_program_prints_and_writes_the_figures(grid: Path) -> None:
    result = module("edeline_jax.report", grid, f"--json={grid / 'grid.json'}")
    assert result.returncode == 0 and result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["game", "finished", "return", "std", "s.e.", "human-normalised", "DIAMOND", "EDELINE"]
    assert lines[1:3] == [
        ["boxing", "3/3", "12.10", "12.00", "6.93", "1.000", "86.90", "88.10"],
        ["freeway", "2/3", "149.48", "207.21", "146.52", "5.050", "33.30", "33.80"],
    ]
    assert ["these", "runs", "3.025", "3.025", "1.033", "0.380", "2"] in lines
    assert f"freeway seed 2: epoch 4, 5,300 steps, last test 7.50 ({grid / 'freeway' / '2'})" in result.stdout
    written = json.loads((grid / "grid.json").read_text())
    assert written["games"]["boxing"]["human_normalised"] == pytest.approx(1)
    assert written["overall"]["scores"]["value"]["interquartile_mean"] == pytest.approx(3.1 / 3)
    assert written["unfinished"][0]["env_steps"] == 5300


def test_the_program_says_where_there_is_no_run(tmp_path: Path) -> None:
    assert_one_line_error(module("edeline_jax.report", tmp_path), str(tmp_path), "config.json")
    assert_one_line_error(module("edeline_jax.report", tmp_path, "json=x"), "json=x: no such folder")
    assert_one_line_error(module("edeline_jax.report"), "usage: python -m edeline_jax.report FOLDER")


def test_nothing_finished_is_a_table_too(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "pong", 0)
    assert "pong seed 0: epoch 0, 0 steps" in table(summarize(read(tmp_path)[0]))


def test_import_does_not_load_jax() -> None:
    code = "import sys, edeline_jax.report.table; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
