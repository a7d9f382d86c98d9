"""Films for the report: real frames beside those the world model imagines from the same start and actions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.frame import from_float
from edeline_jax.replay.sampling import Step, cut
from edeline_jax.world_model.prediction import predict_sequence

NUM_IMAGINED = 16  # frames of a film after its context


def shoot(params: Params, replay: Replay, key: jax.Array, setup: Setup) -> tuple[np.ndarray, np.ndarray] | None:
    """Real and imagined frames, uint8 [T, H, W, 3] each; the first L are the real context in both.

    None if no episode is longer than L: there is nothing to imagine.

    Films the part of the replay in which the frames change most, so that there is something to see.

    Args:
      params: of the world model, on one device.
      replay: one device's, with at least one episode.
    """
    length = min(setup.context + NUM_IMAGINED, int(replay.episodes[0, :, 2].max()))
    if length <= setup.context:
        return None
    real, imagined = film_of(params, replay, _liveliest(replay, length), key, setup, length)
    return np.asarray(real), np.asarray(imagined)


def _liveliest(replay: Replay, length: int) -> Step:
    """The position at which `length` frames of one episode change most from frame to frame."""
    episodes = np.asarray(replay.episodes[0, : int(replay.num_episodes[0])])
    best = -1.0
    place = (episodes[0], 0)
    for stream, first, steps in episodes:
        frames = np.asarray(replay.frames[stream, first : first + steps], np.float32)
        change = np.concatenate([[0.0], np.abs(np.diff(frames, axis=0)).mean(1)]).cumsum()
        for t in range(steps - length + 1):
            if change[t + length - 1] - change[t] > best:
                best = change[t + length - 1] - change[t]
                place = ((stream, first, steps), t)
    (stream, first, steps), t = place
    return Step(*(jnp.array([x]) for x in (stream, first, steps, t)))


@functools.partial(jax.jit, static_argnums=(4, 5))
def film_of(
    params: Params, replay: Replay, step: Step, key: jax.Array, setup: Setup, length: int
) -> tuple[jax.Array, jax.Array]:
    """Real and imagined frames of `length` steps from the place that `step` names; see `shoot`."""
    segment = cut(replay, step, step.t, setup.frame_shape, length)
    imagined = predict_sequence(params, setup.agent.world_model, segment, key, setup.world_model_env)
    context = segment.frames[:, : setup.context]
    return from_float(segment.frames[0]), from_float(jnp.concatenate([context, imagined], 1)[0])
