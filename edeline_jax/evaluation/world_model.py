"""Tests the world model on games that it was not trained on."""

import jax

from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.host import is_on_host
from edeline_jax.replay.sampling import Places, read, segment_places, start_places
from edeline_jax.replay.segment import Steps, segments
from edeline_jax.world_model.loss import count_targets, draw_loss, world_model_loss
from edeline_jax.world_model.prediction import one_step_errors


def world_model_test(
    params: Params, replay: Replay, key: jax.Array, setup: Setup, num_batches: int
) -> dict[str, jax.Array]:
    """The world model's losses on unseen games, and its one-step pixel error and that of repeating the last frame.

    Means over `num_batches` batches; pixel errors are root mean squares, in levels of 0..255.
    """
    keys = jax.random.split(key, num_batches)
    places = _places(replay.table, keys, setup)
    if is_on_host(replay):
        steps = tuple(read(replay, each) for each in jax.device_get(places))
    else:
        steps = tuple(_read(replay, each) for each in places)
    return _means(params, steps, keys, setup)


_read = jax.jit(read)


@jax.jit(static_argnums=2)
def _places(table: Replay, keys: jax.Array, setup: Setup) -> tuple[Places, Places]:
    """The segments and the starts of every batch."""
    c = setup.world_model

    def batch(key: jax.Array) -> tuple[Places, Places]:
        keys = jax.random.split(key, 5)
        segments = segment_places(table, keys[0], c.batch_size, setup.segment_length, c.sample_weights)
        length = setup.context + 1
        return segments, start_places(table, keys[3], c.batch_size, length, length, c.sample_weights)

    return jax.lax.map(batch, keys)


@jax.jit(static_argnums=3)
def _means(params: Params, steps: tuple[Steps, Steps], keys: jax.Array, setup: Setup) -> dict[str, jax.Array]:
    model, c = setup.agent.world_model, setup.world_model

    def losses(own: tuple[jax.Array, tuple[Steps, Steps]]) -> dict[str, jax.Array]:
        key, steps = own
        keys = jax.random.split(key, 5)
        batch, starts = (segments(each, setup.frame_shape) for each in steps)
        draws = draw_loss(keys[1], keys[2], batch.frames.shape, setup.context, c.loss)
        counts = count_targets(batch.mask, draws, setup.context)
        _, metrics = world_model_loss(params["world_model"], model, batch, draws, counts, c.loss)
        errors = one_step_errors(params["world_model"], model, starts, keys[4], setup.world_model_env)
        return metrics | dict(zip(("pixel_error", "pixel_error_repeat_last"), errors, strict=True))

    means = jax.lax.map(losses, (keys, steps))
    return jax.tree.map(lambda x: x.mean(0), means)
