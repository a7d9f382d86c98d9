"""The end of a run: the last test, the pictures, and the summary file."""

import json
from typing import Any

from etils.epath import Path

from edeline_jax.acting.scoreboard import summarize_games
from edeline_jax.config import Config
from edeline_jax.envs import human_normalised_score
from edeline_jax.evaluation.tester import Evaluation
from edeline_jax.runtime import cluster
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
    """Plays the last test, draws the report, writes the summary, which marks the run as finished, and the page."""
    test = run.test(run.config.evaluation.num_final_episodes, final=True)
    summary = summarize(run, test)
    run.checkpoints.wait()  # the summary marks the run as finished, so its last save must be on the disk
    if not cluster.is_main():
        return
    pictures = run.draw(test)
    write_json(run.folder.summary, summary)
    run.write_page()
    if test is not None and test.games:
        score = f"mean return {summary['return_mean']:.2f} over {summary['num_games']} games"
        if "human_normalised_score" in summary:
            score += f", human-normalised {summary['human_normalised_score']:.3f}"
        run.say(score)
    left = [run.folder.page, run.folder.summary, run.folder.metrics, *pictures]
    for path in [*left, run.folder.checkpoints, run.folder.agents]:
        run.say(f"  {path}")


def summarize(run: Run, test: Evaluation | None) -> dict[str, Any]:
    """The run's final scores and counters."""
    updates = dict(zip(("world_model_updates", "actor_critic_updates"), run.updates, strict=True))
    statistics = {} if test is None else summarize_games(test.games, run.config.env.id)
    summary = {"id": run.config.env.id, "seed": run.config.seed, **updates, **statistics}
    if test is not None and test.losses:
        summary["world_model_test"] = test.losses
    score = human_normalised_score(run.config.env.id, statistics["return_mean"]) if statistics else None
    if score is not None:
        summary["human_normalised_score"] = score
    return summary | {"progress": run.progress._asdict()}
