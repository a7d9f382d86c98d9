"""The pictures of a run: learning curves, and films of what its world model imagines."""

import jax
from etils.epath import Path

from edeline_jax.evaluation.film import shoot
from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.report.curves import draw_curves
from edeline_jax.report.filmstrip import draw_filmstrip, draw_gif
from edeline_jax.workdir.folder import RunFolder


def draw_learning(folder: RunFolder) -> list[Path]:
    """Draws the curves of a run's metrics; returns their paths."""
    folder.report.mkdir(exist_ok=True)
    return draw_curves(folder.metrics, folder.report)


def draw_dream(folder: RunFolder, params: Params, replay: Replay, seed: int, setup: Setup) -> list[Path]:
    """Draws a filmstrip and a GIF of real frames beside imagined ones; returns their paths.

    Empty if no episode is longer than the frames that imagination begins with.

    Args:
      params: of the world model, on one device.
      replay: of whose games, on one device.
    """
    film = shoot(params, replay, jax.random.key(seed), setup)
    if film is None:
        return []
    folder.report.mkdir(exist_ok=True)
    real, imagined = film
    paths = [folder.report / "imagination.png", folder.report / "imagination.gif"]
    draw_filmstrip(real, imagined, paths[0], num_context=setup.context)
    draw_gif(real, imagined, paths[1], num_context=setup.context)
    return paths
