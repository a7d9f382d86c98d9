"""Draws the steps of updates from a replay on the host, and sends them to the devices."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from edeline_jax.learning.setup import Setup
from edeline_jax.learning.updates import PlacesOf
from edeline_jax.replay.buffer import REPLAY_SPEC, Replay
from edeline_jax.replay.sampling import Places, are_places, read
from edeline_jax.replay.segment import Steps
from edeline_jax.runtime import cluster
from edeline_jax.runtime.devices import lift


class Drawer:
    """Draws the steps of one network's updates.

    The devices draw the places, each in the episodes of its own streams, with the arithmetic of a replay of their own,
    so that equal keys give equal batches; the host only reads.
    """

    def __init__(self, places_of: PlacesOf, num_parts: int, setup: Setup, mesh: Mesh):
        self._program = _program(places_of, num_parts, setup, mesh)
        self._mesh = mesh

    def draw(self, key: jax.Array, replay: Replay, update: int) -> Any:
        """Begins to draw the `Places` of update number `update`, a tree of [D, parts, ...]; `key` is the run's."""
        return self._program(key, replay.table, cluster.place(np.int32(update), NamedSharding(self._mesh, P())))

    def send(self, replay: Replay, places: Any) -> Any:
        """Reads the steps at places on the host, and begins to send each device its own, [D, parts, ...]."""

        def steps_at(places: Places) -> Steps:
            own = Places(*map(cluster.own_rows, places))
            devices = len(own.stream)
            first = np.arange(devices) * (len(replay.actions) // devices)  # streams are numbered on their device
            stream = own.stream + first.reshape(-1, *[1] * (own.stream.ndim - 1))
            return read(replay, own._replace(stream=stream))

        steps = jax.tree.map(steps_at, places, is_leaf=are_places)
        return cluster.place(steps, NamedSharding(self._mesh, REPLAY_SPEC))

    def shapes(self, key: jax.Array, replay: Replay) -> Any:
        """The shapes of the steps of an update."""

        places = jax.eval_shape(self._program, key, replay.table, np.int32(0))
        return jax.tree.map(lambda each: jax.eval_shape(read, replay, each), places, is_leaf=are_places)


@functools.cache
def _program(places_of: PlacesOf, num_parts: int, setup: Setup, mesh: Mesh) -> Callable:
    def per_device(key: jax.Array, table: Replay, update: jax.Array) -> Any:
        every = jax.lax.map(lambda part: places_of(key, table, update, part, setup), jnp.arange(num_parts))
        return jax.tree.map(lambda x: x[None], every)

    return lift(per_device, mesh, (P(), REPLAY_SPEC, P()), REPLAY_SPEC, donate=())
