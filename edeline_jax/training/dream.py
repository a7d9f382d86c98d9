"""Pictures and figures of what a run's world model imagines."""

from typing import Any

import jax
from etils.epath import Path

from edeline_jax.evaluation.film import Film, shoot
from edeline_jax.evaluation.horizon import measure_horizon
from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.report.dream import draw_calibration, draw_horizon
from edeline_jax.report.filmstrip import draw_denoising, draw_filmstrip, draw_gif
from edeline_jax.runtime.files import write_json
from edeline_jax.workdir.progress import Progress
from edeline_jax.world_model.edm import karras_sigmas

FIGURES = "dream.json"


def draw_dream(folder: Path, params: Params, replay: Replay, progress: Progress, seed: int, setup: Setup) -> list[Path]:
    """Shows in `folder` what the world model imagines beside what came; returns the paths of the files.

    These are filmstrips and GIFs of the best, the median and the worst of several starts, the denoising of one frame,
    the errors against the horizon, and all figures in `dream.json`.

    Empty if no episode is longer than the frames that imagination begins with.

    Args:
      params: of the world model, on one device.
      replay: of whose games, on one device.
      progress: of the run, at these params.
    """
    film_key, horizon_key = jax.random.split(jax.random.key(seed))
    films = shoot(params, replay, film_key, setup)
    if not films:
        return []
    starts = [_draw_film(film, title, folder, setup.context) for title, film in best_median_worst(films).items()]
    sigmas = karras_sigmas(setup.world_model_env.diffusion_sampler).tolist()
    draw_denoising(films[len(films) // 2].denoising, sigmas, folder / "denoising.png")
    figures = measure_horizon(params, replay, horizon_key, setup)
    draw_horizon(figures["horizon"], folder / "horizon.png")
    draw_calibration(figures["calibration"], folder / "calibration.png")
    names = {"denoising": "denoising.png", "horizon_picture": "horizon.png", "calibration_picture": "calibration.png"}
    head = {"epoch": progress.epoch, "env_steps": progress.env_steps, "num_starts": len(films), "starts": starts}
    write_json(folder / FIGURES, {**head, **figures, **names})
    drawn = [start[kind] for start in starts for kind in ("strip", "film")]
    return [folder / name for name in (*drawn, *names.values(), FIGURES)]


def best_median_worst(films: list[Film]) -> dict[str, Film]:
    """Of films by their errors, best first; of a single one the median, of two the best and the median."""
    titles = {0: "best", len(films) - 1: "worst", len(films) // 2: "median"}  # of equal places the last name counts
    return {titles[place]: films[place] for place in sorted(titles)}


def _draw_film(film: Film, title: str, folder: Path, context: int) -> dict[str, Any]:
    """Draws strip and GIF; returns what `dream.json` says of them."""
    strip, gif = f"imagination-{title}.png", f"imagination-{title}.gif"
    draw_filmstrip(film.real, film.imagined, folder / strip, num_context=context)
    draw_gif(film.real, film.imagined, folder / gif, num_context=context)
    return {"title": title, "pixel_error": film.pixel_error, "strip": strip, "film": gif}
