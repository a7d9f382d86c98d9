"""The one place where per-device functions become programs over all devices.

`jax.pmap` is `jit(shard_map)` in today's JAX; so is this. Replicated arguments keep pmap's meaning of a gradient (each
device its own share) because `check_vma` is off.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

AXIS = "data"


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Devices, by default of all processes, in one axis; those of a process stand together, and so do its streams."""
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))


def lift(function: Callable, mesh: Mesh, in_specs: Any, out_specs: Any, donate: int) -> Callable:
    """Jits a per-device function over the mesh; argument number `donate` is given up."""
    mapped = jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)
    return jax.jit(mapped, donate_argnums=donate)


def shardings(mesh: Mesh, specs: Any, tree: Any) -> Any:
    """The sharding of every leaf of `tree`, where `specs` is a prefix of it."""
    return jax.tree.map(
        lambda spec, subtree: jax.tree.map(lambda _: NamedSharding(mesh, spec), subtree),
        specs,
        tree,
        is_leaf=lambda x: isinstance(x, P),
    )


def abstract(mesh: Mesh, specs: Any, tree: Any) -> Any:
    """The shape, dtype and sharding of every leaf of `tree`, where `specs` is a prefix of it."""
    places = shardings(mesh, specs, tree)
    return jax.tree.map(lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), tree, places)


def local(tree: Any) -> Any:
    """The first local device's copy of replicated arrays, without a transfer."""
    return jax.tree.map(lambda x: x.addressable_data(0), tree)
