"""The page of one run, finished or still running."""

from typing import Any, NamedTuple

import numpy as np
from etils.epath import Path

from edeline_jax.envs import NO_ENV, human_normalised_score
from edeline_jax.report.curves import series
from edeline_jax.report.page.album import Album
from edeline_jax.report.page.dream import Dream, read_dream
from edeline_jax.report.page.exams import Exam, read_exams
from edeline_jax.report.page.facts import Difference, differences_from_paper, machines
from edeline_jax.report.page.rendering import write_page
from edeline_jax.report.page.run_charts import learning_curve
from edeline_jax.report.page.sections import Phase, Section, sections, time_spent
from edeline_jax.report.page.svg import Chart
from edeline_jax.report.published import NUM_STEPS, published_scores
from edeline_jax.report.runs import UNUSABLE, Row, RunRecord, read_rows
from edeline_jax.runtime.errors import one_line
from edeline_jax.workdir.folder import RunFolder

DRAWABLE = 1e30  # numbers beyond it are no measurements
BESIDE = ("EDELINE", "DIAMOND", "Human", "Random")  # whom a run stands beside


class Score(NamedTuple):
    """Somebody's mean return in the game."""

    name: str
    mean: float | None
    human_normalised: float | None
    note: str


class RunPage(NamedTuple):
    """Everything on the page of a run."""

    run: RunRecord
    title: str
    scores: list[Score]
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


def write_run_page(run: RunRecord, path: Path) -> None:
    """Writes the page of a run; raises UserError if it could not be written."""
    write_page(path, "run.html", page=read_run_page(run), num_steps=NUM_STEPS)


def read_run_page(run: RunRecord) -> RunPage:
    """Reads the run's folder; what is missing or damaged there is said on the page."""
    folder, album, notes = RunFolder(run.folder), Album(), []
    config = folder.read_config()
    try:
        rows = [row for row in read_rows(folder.metrics) if max(map(abs, row.values())) < DRAWABLE]
    except UNUSABLE as error:
        rows = []
        notes.append(f"metrics.jsonl cannot be read: {one_line(error)}")
    try:
        differences = differences_from_paper(config)
    except UNUSABLE as error:
        differences = []
        notes.append(f"config.json: not compared with the paper's: {one_line(error)}")
    hours = max((row["wall_time"] for row in rows if "wall_time" in row), default=0.0) / 3600
    total = _at(config, "collection", "num_steps_total")
    counted = isinstance(total, int) and total > 0
    time, phases = time_spent(rows)
    return RunPage(
        run=run,
        title=game_title(run.title),
        scores=_scores(run, rows),
        progress=min(run.env_steps / total, 1.0) if counted else None,
        facts=_facts(run, rows, hours, folder),
        differences=differences,
        learning=learning_curve(rows, published_scores(run.game)),
        dream=read_dream(folder, bool(_at(config, "training", "model_free")), album),
        sections=sections(rows),
        time=time,
        phases=phases,
        exams=read_exams(folder, album),
        notes=notes,
    )


def game_title(game: str) -> str:
    """ "ms_pacman" -> "Ms Pacman"."""
    return "Recorded episodes" if game == NO_ENV else game.replace("_", " ").title().replace("(Diamond)", "(DIAMOND)")


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
        if games.size and np.isfinite(games[:, -1]).all() and games[3, -1] > 1:
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
    return facts | machines(folder) | {"Folder": str(run.folder)}
