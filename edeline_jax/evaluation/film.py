"""Films for the report: real frames beside those the world model imagines from the same start and actions."""

from typing import NamedTuple

import jax
import numpy as np

from edeline_jax.evaluation.open_loop import NUM_STARTS, STEPS, open_loop
from edeline_jax.evaluation.starts import liveliest
from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay


class Film(NamedTuple):
    """Real frames beside imagined ones, uint8 [T, H, W, 3] each; the first L are the real context in both.

    denoising: noise to the first imagined frame, uint8 [num_steps_denoising + 1, H, W, 3]; see `denoise_frame`.
    pixel_error: of all imagined frames, root mean square in levels of 0..255.
    """

    real: np.ndarray
    imagined: np.ndarray
    denoising: np.ndarray
    pixel_error: float


def shoot(params: Params, replay: Replay, key: jax.Array, setup: Setup) -> list[Film]:
    """Up to `NUM_STARTS` films of up to `STEPS` imagined steps, by their pixel errors, the best first.

    Empty if no episode is longer than L: there is nothing to imagine.

    Films the parts of the replay in which the frames change most, so that there is something to see.

    Args:
      params: of the world model, on one device.
      replay: one device's, with at least one episode.
      key: consumed.
    """
    starts = liveliest(replay, setup.context, setup.context + STEPS, NUM_STARTS)
    if not len(starts.t):
        return []
    context, blocks = open_loop(params, replay, starts, key, setup)
    steps = next(blocks)
    denoising = np.asarray(steps.trajectory[:, 0])
    films = []
    for i, length in enumerate(steps.there.sum(1)):
        real, imagined = steps.real[i, :length], steps.imagined[i, :length]
        error = float(np.sqrt(np.square(imagined.astype(np.float32) - real).mean()))
        whole = [np.concatenate([context[i], frames]) for frames in (real, imagined)]
        films.append(Film(*whole, denoising[i], error))
    return sorted(films, key=lambda film: film.pixel_error)
