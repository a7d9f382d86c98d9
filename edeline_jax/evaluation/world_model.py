"""Tests the world model on games that it was not trained on."""

from typing import Any

import jax

from edeline_jax.learning.lessons import teaching
from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.host import is_on_host
from edeline_jax.replay.sampling import are_places, read, start_places
from edeline_jax.replay.segment import segments
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
        steps = jax.tree.map(lambda each: read(replay, each), jax.device_get(places), is_leaf=are_places)
    else:
        steps = jax.tree.map(lambda each: _read(replay, each), places, is_leaf=are_places)
    return _means(params, steps, keys, setup)


_read = jax.jit(read)


@jax.jit(static_argnums=2)
def _places(table: Replay, keys: jax.Array, setup: Setup) -> tuple[Any, Any]:
    """The places of the losses' segments and of the starts of every batch."""
    c = setup.world_model

    def batch(key: jax.Array) -> tuple[Any, Any]:
        keys = jax.random.split(key, 5)
        length = setup.context + 1
        starts = start_places(table, keys[3], c.batch_size, length, length, c.sample_weights)
        return teaching(setup).places(table, keys[0], setup), starts

    return jax.lax.map(batch, keys)


@jax.jit(static_argnums=3)
def _means(params: Params, steps: tuple[Any, Any], keys: jax.Array, setup: Setup) -> dict[str, jax.Array]:
    model, own = setup.agent.world_model, teaching(setup)

    def losses(inputs: tuple[jax.Array, tuple[Any, Any]]) -> dict[str, jax.Array]:
        key, (lessons, starts) = inputs
        keys = jax.random.split(key, 5)
        batch, starts = own.batch(lessons, setup), segments(starts, setup.frame_shape)
        draws = own.draw(keys[1], keys[2], batch, setup)
        _, metrics = own.loss(params["world_model"], batch, draws, own.count(batch, draws, setup), setup)
        errors = one_step_errors(params["world_model"], model, starts, keys[4], setup.world_model_env)
        return metrics | dict(zip(("pixel_error", "pixel_error_repeat_last"), errors, strict=True))

    means = jax.lax.map(losses, (keys, steps))
    return jax.tree.map(lambda x: x.mean(0), means)
