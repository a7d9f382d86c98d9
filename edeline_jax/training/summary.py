"""The end of a run: the last test, the pictures, and the summary file."""

import json
from typing import Any

import jax
from etils.epath import Path

from edeline_jax.acting.scoreboard import summarize_games
from edeline_jax.config import Config
from edeline_jax.envs import human_normalised_score
from edeline_jax.evaluation.film import shoot
from edeline_jax.evaluation.tester import Evaluation
from edeline_jax.learning.setup import make_setup
from edeline_jax.report.curves import draw_curves
from edeline_jax.report.filmstrip import draw_filmstrip, draw_gif
from edeline_jax.runtime import cluster
from edeline_jax.runtime.devices import local
from edeline_jax.runtime.errors import UserError, one_line
from edeline_jax.runtime.files import write_json
from edeline_jax.training.run import Run
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.progress import Progress


def is_finished(workdir: Path, config: Config) -> bool:
    """Whether the folder holds a run with nothing left to do under this config, whose schedule may have been extended.

    Raises:
      UserError: there is a summary, but it cannot be read.
    """
    path = RunFolder(workdir).summary
    if not path.exists():
        return False
    try:
        counters = json.loads(path.read_text())["progress"]
        return Progress.from_json(counters).schedule_is_through(config) and config.training.should
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the summary of a run ({one_line(error)}); delete it to test again") from error


def finish(run: Run) -> None:
    """Plays the last test, draws the report, and writes the summary, which marks the run as finished."""
    test = run.test(run.config.evaluation.num_final_episodes, final=True)
    summary = summarize(run, test)
    run.checkpoints.wait()  # the summary marks the run as finished, so its last save must be on the disk
    if not cluster.is_main():
        return
    pictures = draw_report(run, test)
    write_json(run.folder.summary, summary)
    if test is not None and test.games:
        score = f"mean return {summary['return_mean']:.2f} over {summary['num_games']} games"
        if "human_normalised_score" in summary:
            score += f", human-normalised {summary['human_normalised_score']:.3f}"
        run.say(score)
    left = [run.folder.summary, run.folder.metrics, *pictures]
    for path in [*left, run.folder.checkpoints, run.folder.agents]:
        run.say(f"  {path}")


def summarize(run: Run, test: Evaluation | None) -> dict[str, Any]:
    """The run's final scores and counters."""
    updates = dict(zip(("world_model_updates", "actor_critic_updates"), run.updates, strict=True))
    statistics = {} if test is None else summarize_games(test.games)
    summary = {"id": run.config.env.id, "seed": run.config.seed, **updates, **statistics}
    if test is not None and test.losses:
        summary["world_model_test"] = test.losses
    score = human_normalised_score(run.config.env.id, statistics["return_mean"]) if statistics else None
    if score is not None:
        summary["human_normalised_score"] = score
    return summary | {"progress": run.progress._asdict()}


def draw_report(run: Run, test: Evaluation | None) -> list[Path]:
    """Draws curves and, if there is a world model, a filmstrip and a GIF; returns their paths.

    The films show a test game or a held-out episode; if there is neither, the training replay.
    """
    folder = run.folder.report
    folder.mkdir(exist_ok=True)
    pictures = draw_curves(run.folder.metrics, folder)
    if run.config.training.model_free:
        return pictures
    run.say("compiling the film ...")
    params = local(run.state.world_model.params)
    replay = local(run.replay) if test is None else test.replay
    film = shoot(params, replay, jax.random.key(run.config.seed), make_setup(run.agent, run.config))
    if film is None:
        run.say(
            f"no film: no episode there is longer than the {run.config.context} frames that imagination begins with"
        )
        return pictures
    real, imagined = film
    films = [folder / "imagination.png", folder / "imagination.gif"]
    draw_filmstrip(real, imagined, films[0], num_context=run.config.context)
    draw_gif(real, imagined, films[1], num_context=run.config.context)
    return [*pictures, *films]
