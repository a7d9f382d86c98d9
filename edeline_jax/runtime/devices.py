"""Turns per-device functions into programs over all devices; this is the only place that does.

`jax.pmap` is `jit(shard_map)` in today's JAX; so is this. With `check_vma` off, the gradient with respect to a
replicated argument is each device's own share, as under pmap.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from edeline_jax.runtime.errors import UserError, one_line
from edeline_jax.runtime.memory import SHARE, is_full

AXIS = "data"


def spread_over_cores(divisible: int, wanted: int | None) -> None:
    """Makes CPU devices: `wanted`, or else one per core, as many as divide `divisible`.

    XLA runs a convolution on one core, so that a single device leaves the others idle. Must come before any other use
    of JAX. The environment variable JAX_NUM_CPU_DEVICES has precedence over the number of cores, and the processes of a
    cluster keep to one each.
    """
    if wanted is None and (jax.config.jax_num_cpu_devices > 0 or jax.distributed.is_initialized()):
        return
    cores = len(os.sched_getaffinity(0))
    jax.config.update("jax_num_cpu_devices", wanted or max(n for n in range(1, cores + 1) if divisible % n == 0))


def require() -> None:
    """Raises UserError if JAX cannot start its devices, or finds none of the kind that JAX_PLATFORMS names."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # jax 0.10 asserts where it skipped a missing GPU
        wanted = os.environ.get("JAX_PLATFORMS")
        if is_full(error):
            raise UserError(f"no memory is left on the device ({one_line(error)}). {SHARE}") from error
        if not wanted:
            raise UserError(
                f"JAX cannot start its devices ({one_line(error)}); with JAX_PLATFORMS=cpu it does without them"
            ) from error
        raise UserError(
            f"JAX_PLATFORMS={wanted}: JAX finds no such device. Install what it needs (EDELINE_EXTRAS=test,cuda12 bash "
            "launch/environment.sh, and a driver), or unset JAX_PLATFORMS"
        ) from error


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A one-axis mesh of the devices, by default those of all processes.

    The devices of a process are adjacent, and so are its replay streams.
    """
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))


def lift(function: Callable, mesh: Mesh, in_specs: Any, out_specs: Any, donate: int) -> Callable:
    """Jits a per-device function over the mesh; argument number `donate` is donated."""
    mapped = jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)
    return jax.jit(mapped, donate_argnums=donate)


def shardings(mesh: Mesh, specs: Any, tree: Any) -> Any:
    """The sharding of every leaf of `tree`; `specs` is a tree prefix of it."""
    return jax.tree.map(
        lambda spec, subtree: jax.tree.map(lambda _: NamedSharding(mesh, spec), subtree),
        specs,
        tree,
        is_leaf=lambda x: isinstance(x, P),
    )


def abstract(mesh: Mesh, specs: Any, tree: Any) -> Any:
    """The shape, dtype and sharding of every leaf of `tree`; `specs` is a tree prefix of it."""
    places = shardings(mesh, specs, tree)
    return jax.tree.map(lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), tree, places)


def local(tree: Any) -> Any:
    """The first local device's copy of replicated arrays, without a transfer."""
    return jax.tree.map(lambda x: x.addressable_data(0), tree)
