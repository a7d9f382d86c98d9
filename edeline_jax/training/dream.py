"""Pictures of what a run's world model imagines."""

import jax
from etils.epath import Path

from edeline_jax.evaluation.film import shoot
from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.report.filmstrip import draw_filmstrip, draw_gif


def draw_dream(folder: Path, params: Params, replay: Replay, seed: int, setup: Setup) -> list[Path]:
    """Draws a filmstrip and a GIF of real frames beside imagined ones into `folder`; returns their paths.

    Empty if no episode is longer than the frames that imagination begins with.

    Args:
      params: of the world model, on one device.
      replay: of whose games, on one device.
    """
    film = shoot(params, replay, jax.random.key(seed), setup)
    if film is None:
        return []
    real, imagined = film
    paths = [folder / "imagination.png", folder / "imagination.gif"]
    draw_filmstrip(real, imagined, paths[0], num_context=setup.context)
    draw_gif(real, imagined, paths[1], num_context=setup.context)
    return paths
