"""Saves the batch of an update whose loss or gradient was not finite."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from edeline_jax.dataset.arrays import write_arrays
from edeline_jax.learning.drawing import Drawer
from edeline_jax.learning.setup import Setup
from edeline_jax.learning.state import TrainState
from edeline_jax.learning.updates import Source, world_model_batch, world_model_places
from edeline_jax.replay.buffer import Replay, replay_spec
from edeline_jax.replay.host import is_on_host
from edeline_jax.runtime import cluster
from edeline_jax.runtime.devices import AXIS
from edeline_jax.runtime.errors import UserError


class NotFiniteError(UserError):
    """A loss or gradient became NaN or infinite."""


def keep_batch(path: Path, network: str, state: TrainState, replay: Replay, setup: Setup, mesh: Mesh) -> None:
    """Writes the batch of a network's latest update as named arrays.

    World model: the segments, sampled again with the update's keys. Actor-critic: the frames of the imagined
    environments after the update, oldest first; its trajectory cannot be repeated without the parameters it had.
    """
    if network == "world_model":
        update, source = state.world_model.updates - 1, replay
        if is_on_host(replay):
            drawer = Drawer(world_model_places, setup.world_model.num_parts, setup, mesh)
            source = drawer.send(replay, drawer.draw(state.key, replay, int(update)))
        batch = _segments(state.key, source, update, setup, mesh)
        leaves = jax.tree_util.tree_leaves_with_path(batch)
        arrays = {jax.tree_util.keystr(path, simple=True, separator="_"): x for path, x in leaves}
    else:
        arrays = {"frames": state.rollout.env.frames, "age": state.rollout.env.age}
    arrays = {name: np.asarray(cluster.gather(x)) for name, x in arrays.items()}
    if cluster.is_main():
        write_arrays(path, arrays)


def _segments(key: jax.Array, source: Source, update: jax.Array, setup: Setup, mesh: Mesh) -> Any:
    def per_device(key: jax.Array, source: Source, update: jax.Array) -> Any:
        def part(number: jax.Array) -> Any:
            return world_model_batch(key, source, update, number, setup)[0]

        return jax.lax.map(part, jnp.arange(setup.world_model.num_parts))

    specs = (P(), replay_spec(len(jax.tree.leaves(source)[0]), mesh), P())
    return jax.jit(jax.shard_map(per_device, mesh=mesh, in_specs=specs, out_specs=P(None, AXIS), check_vma=False))(
        key, source, update
    )
