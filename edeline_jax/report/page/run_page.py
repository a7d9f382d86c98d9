"""The page of one run, finished or still running."""

from typing import Any, NamedTuple

from etils.epath import Path

from edeline_jax.envs import NO_ENV, human_normalised_score
from edeline_jax.report.curves import metric_names, series
from edeline_jax.report.page.album import Album
from edeline_jax.report.page.dream import Dream, read_dream
from edeline_jax.report.page.exams import Exam, read_exams
from edeline_jax.report.page.facts import Difference, differences_from_paper, read_config, starts
from edeline_jax.report.page.quantities import is_memory, is_rate
from edeline_jax.report.page.rendering import write_page
from edeline_jax.report.page.run_charts import learning_curve, metric_panel, shades, time_chart
from edeline_jax.report.page.svg import Chart
from edeline_jax.report.published import NUM_STEPS, published_scores
from edeline_jax.report.runs import UNUSABLE, Row, RunRecord, find_runs, read_rows
from edeline_jax.runtime.errors import one_line
from edeline_jax.workdir.folder import RunFolder

HOURS = ("wall_time", "hours of the run", 1 / 3600)
STEPS = ("env_steps", "environment steps", 1.0)
BESIDE = ("EDELINE", "DIAMOND", "Human", "Random")  # whom a run stands beside


class Score(NamedTuple):
    """Somebody's mean return in the game."""

    name: str
    mean: float | None
    human_normalised: float | None
    note: str


class Section(NamedTuple):
    """Small charts of one subject, in rows under titles of their own."""

    title: str
    text: str
    rows: dict[str, list[Chart]]


class Phase(NamedTuple):
    """A part of the run's time."""

    name: str
    hours: float
    share: float  # %
    shade: float  # opacity of its colour


class RunPage(NamedTuple):
    """Everything on the page of a run."""

    run: RunRecord
    title: str
    scores: list[Score]
    hours: float
    progress: float | None  # share of the environment steps that are collected
    facts: dict[str, str]
    differences: list[Difference]
    learning: Chart | None
    dream: Dream
    sections: list[Section]
    time: Chart | None
    phases: list[Phase]
    exams: list[Exam]
    notes: list[str]


def write_run_page(folder: Path, path: Path) -> None:
    """Writes the page of the run in `folder`; nothing where the folder holds no run yet.

    Raises:
      UserError: the page could not be written.
    """
    for run in find_runs([folder], lambda line: None):
        write_page(path, "run.html", page=read_run_page(run), num_steps=NUM_STEPS)


def read_run_page(run: RunRecord) -> RunPage:
    """Reads the run's folder; what is missing or damaged there is said on the page."""
    folder, album, notes = RunFolder(run.folder), Album(), []
    config, why = read_config(run.folder)
    notes += [f"config.json cannot be read: {why}"] if why else []
    try:
        rows = read_rows(folder.metrics)
    except UNUSABLE as error:
        rows = []
        notes.append(f"metrics.jsonl cannot be read: {one_line(error)}")
    try:
        differences = differences_from_paper(config)
    except (*UNUSABLE, AttributeError) as error:
        differences = []
        notes.append(f"config.json: not compared with the paper's: {one_line(error)}")
    hours = max((row["wall_time"] for row in rows if "wall_time" in row), default=0.0) / 3600
    total = _at(config, "collection", "num_steps_total")
    counted = isinstance(total, int) and total > 0
    time, phases = _time(rows)
    return RunPage(
        run=run,
        title=game_title(run.game),
        scores=_scores(run, rows),
        hours=hours,
        progress=min(run.env_steps / total, 1.0) if counted else None,
        facts=_facts(run, rows, hours, folder),
        differences=differences,
        learning=learning_curve(rows, published_scores(run.game)),
        dream=read_dream(folder, bool(_at(config, "training", "model_free")), album),
        sections=[section for section in _sections(rows) if section.rows],
        time=time,
        phases=phases,
        exams=read_exams(folder, album),
        notes=notes,
    )


def game_title(game: str) -> str:
    """ "ms_pacman" -> "Ms Pacman"."""
    return "Recorded episodes" if game == NO_ENV else game.replace("_", " ").title()


def _at(tree: Any, *keys: str) -> Any:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _scores(run: RunRecord, rows: list[Row]) -> list[Score]:
    """The run's own first, then the published ones of its game."""
    games = series(rows, "env_steps", "test/return_mean", "test/return_std", "test/num_games")
    note = "no test yet"
    if run.score is not None:
        note = f"after {run.env_steps:,} steps" if run.finished else "last test"
        if games.size and games[3, -1] > 1:
            error = games[2, -1] / (games[3, -1] - 1) ** 0.5
            note += f"; ± {error:,.2f} standard error over {games[3, -1]:,.0f} games"
    published = published_scores(run.game)
    others = {"EDELINE": "the paper, mean of its runs", "DIAMOND": "mean of 5 runs", "Human": "", "Random": ""}
    scores = [("This run", run.score, note)]
    scores += [(name, published[name], others[name]) for name in BESIDE if name in published]
    return [
        Score(name, mean, None if mean is None else human_normalised_score(run.game, mean), note)
        for name, mean, note in scores
    ]


def _facts(run: RunRecord, rows: list[Row], hours: float, folder: RunFolder) -> dict[str, str]:
    last = rows[-1] if rows else {}
    facts = {
        "Game": run.game,
        "Seed": str(run.seed),
        "Epochs": f"{run.epoch:,}",
        "Environment steps": f"{run.env_steps:,}",
    }
    if last:
        facts["Updates, world model"] = f"{last['world_model_updates']:,.0f}"
        facts["Updates, actor-critic"] = f"{last['actor_critic_updates']:,.0f}"
    facts["Time"] = f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:,.0f} minutes"
    lines = {name: list(dict.fromkeys(str(start[name]) for start in starts(folder) if name in start)) for name in STARTS}
    facts |= {title: "; ".join(lines[name]) for name, title in STARTS.items() if lines[name]}
    return facts | {"Folder": str(run.folder)}


STARTS = {"devices": "Hardware", "versions": "Versions", "time": "Starts"}  # key of a start -> its name on the page


def _panels(rows: list[Row], group: str, names: list[str], counter: tuple[str, str, float] | None = None) -> list[Chart]:
    own = (f"{group}_updates", f"{group.replace('_', '-')} updates", 1.0)
    panels = (metric_panel(rows, counter or own, group, name) for name in names)
    return [panel for panel in panels if panel is not None]


def _sections(rows: list[Row]) -> list[Section]:
    return [_world_model(rows), _actor_critic(rows), _episodes(rows), _speed(rows)]


def _world_model(rows: list[Row]) -> Section:
    group = "world_model"
    names = list(dict.fromkeys([*metric_names(rows, group), *metric_names(rows, f"test_{group}")]))
    names = [name for name in names if not _is_speed(name) and not name.endswith("_repeat_last")]
    rates = sorted((n for n in names if is_rate(n)), key=lambda n: ("accuracy" in n, n.split("_")[::-1]))
    kinds = {
        "Losses": [n for n in names if n.startswith(("loss_", "harmonized_"))],
        "Harmonizers": [n for n in names if n.startswith("harmony_")],
        "Rewards and ends": rates,
    }
    known = {name for kind in kinds.values() for name in kind}
    kinds["Pixels and gradients"] = sorted((n for n in names if n not in known), key=lambda n: n != "pixel_error")
    text = (
        "Rewards and ends are rare, so accuracy says little: a model that never foretells one scores high. Precision is "
        "the share of the foretold that came, recall the share of those that came that were foretold. Pixel error is the "
        "root mean square one step ahead; the dashed line repeats the last frame."
    )
    return _section("World model", text, {title: _panels(rows, group, of_kind) for title, of_kind in kinds.items()})


def _actor_critic(rows: list[Row]) -> Section:
    names = [name for name in metric_names(rows, "actor_critic") if not _is_speed(name)]
    text = "It learns in the dream alone. Entropy is in nats; a policy that does not choose among n actions has ln n."
    return _section("Actor-critic", text, {"": _panels(rows, "actor_critic", names)})


def _episodes(rows: list[Row]) -> Section:
    names = ["return_mean", "length_mean"]
    kinds = {f"{title} games": _panels(rows, group, names, STEPS) for group, title in GROUPS.items()}
    return _section("Games", "The same returns as in the learning curve on a scale of their own.", kinds)


GROUPS = {"collect": "Collected", "test": "Test"}


def _speed(rows: list[Row]) -> Section:
    speed = [("world_model", "World model"), ("actor_critic", "Actor-critic")]
    panels = []
    for group, title in speed:
        for panel in _panels(rows, group, [n for n in metric_names(rows, group) if n == "seconds_per_update"], HOURS):
            panels.append(panel._replace(title=f"{panel.title}, {title.lower()}"))
    groups = dict.fromkeys(key.split("/")[0] for row in rows for key in row if "/" in key)
    memory = []
    for group in groups:
        memory += _panels(rows, group, [name for name in metric_names(rows, group) if is_memory(name)], HOURS)
    return _section("Speed and memory", "", {"Speed": panels, "Memory": memory})


def _section(title: str, text: str, kinds: dict[str, list[Chart]]) -> Section:
    return Section(title, text, {name: charts for name, charts in kinds.items() if charts})


def _is_speed(name: str) -> bool:
    return name == "seconds_per_update" or is_memory(name)


def _time(rows: list[Row]) -> tuple[Chart | None, list[Phase]]:
    """Where the time went: by epoch, and in all, the longest first."""
    totals = {
        name: sum(row.get(f"seconds/{name}", 0.0) for row in rows) / 3600 for name in metric_names(rows, "seconds")
    }
    names = sorted(totals, key=totals.get, reverse=True)
    hours = sum(totals.values()) or 1.0
    phases = [
        Phase(name.replace("_", " "), totals[name], 100 * totals[name] / hours, shade)
        for name, shade in zip(names, shades(len(names)), strict=True)
    ]
    return time_chart(rows, names), phases


