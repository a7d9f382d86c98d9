"""Tests the world model on games that it was not trained on."""

import jax

from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.sampling import sample_segments, sample_starts
from edeline_jax.world_model.loss import count_targets, draw_loss, world_model_loss
from edeline_jax.world_model.prediction import one_step_errors


@jax.jit(static_argnums=(3, 4))
def world_model_test(
    params: Params, replay: Replay, key: jax.Array, setup: Setup, num_batches: int
) -> dict[str, jax.Array]:
    """The world model's losses on unseen games, and its one-step pixel error and that of repeating the last frame.

    Means over `num_batches` batches; pixel errors are root mean squares, in levels of 0..255.
    """
    model, c = setup.agent.world_model, setup.world_model

    def losses(key: jax.Array) -> dict[str, jax.Array]:
        keys = jax.random.split(key, 5)
        batch = sample_segments(
            replay, keys[0], setup.frame_shape, c.batch_size, setup.segment_length, c.sample_weights
        )
        draws = draw_loss(keys[1], keys[2], batch.frames.shape, setup.context, c.loss)
        counts = count_targets(batch.mask, draws, setup.context)
        _, metrics = world_model_loss(params["world_model"], model, batch, draws, counts, c.loss)
        starts = sample_starts(replay, keys[3], setup.frame_shape, c.batch_size, setup.context + 1, c.sample_weights)
        errors = one_step_errors(params["world_model"], model, starts, keys[4], setup.world_model_env)
        return metrics | dict(zip(("pixel_error", "pixel_error_repeat_last"), errors, strict=True))

    means = jax.lax.map(losses, jax.random.split(key, num_batches))
    return jax.tree.map(lambda x: x.mean(0), means)
