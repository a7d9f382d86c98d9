"""The end of a run: its last test, its pictures, and one file that says how it went."""

import json
from pathlib import Path

import jax

from edeline_jax.envs import GAMES, human_normalised_score
from edeline_jax.report.curves import draw_curves
from edeline_jax.report.filmstrip import draw_filmstrip, draw_gif
from edeline_jax.training.devices import local
from edeline_jax.training.evaluation import Test
from edeline_jax.training.film import shoot
from edeline_jax.training.loop import Run
from edeline_jax.training.metrics import summarize_games

SUMMARY = "summary.json"


def finish(run: Run) -> None:
    """Plays the last test, draws the report, and writes the summary, which marks the run as finished."""
    test = run.test(run.config.evaluation.num_final_episodes)
    pictures = draw_report(run, test)
    summary = summarize(run, test)
    (run.workdir / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    score = f"mean return {summary['return_mean']:.2f} over {summary['num_games']} games"
    if "human_normalised_score" in summary:
        score += f", human-normalised {summary['human_normalised_score']:.3f}"
    run.say(score)
    for path in [
        run.workdir / SUMMARY,
        run.workdir / "metrics.jsonl",
        *pictures,
        run.workdir / "checkpoints",
        run.workdir / "agents",
    ]:
        run.say(f"  {path}")


def summarize(run: Run, test: Test) -> dict[str, float | str | int]:
    """What the run came to."""
    statistics = summarize_games(test.games)
    summary = {"id": run.config.env.id, "seed": run.config.seed, **run.progress._asdict(), **statistics}
    if run.config.env.id in GAMES:
        summary["human_normalised_score"] = human_normalised_score(run.config.env.id, statistics["return_mean"])
    return summary


def draw_report(run: Run, test: Test) -> list[Path]:
    """Curves, and unless there is no world model a filmstrip and a GIF; returns their paths."""
    folder = run.workdir / "report"
    folder.mkdir(exist_ok=True)
    pictures = draw_curves(run.workdir / "metrics.jsonl", folder)
    if run.config.training.model_free:
        return pictures
    params = local(run.state.world_model.params)
    real, imagined = shoot(params, test.replay, jax.random.key(run.config.seed), run.agent, run.config)
    films = [folder / "imagination.png", folder / "imagination.gif"]
    draw_filmstrip(real, imagined, films[0], num_context=run.config.context)
    draw_gif(real, imagined, films[1], num_context=run.config.context)
    return [*pictures, *films]
