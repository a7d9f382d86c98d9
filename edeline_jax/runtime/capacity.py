"""Checks that a config fits into memory before anything is allocated."""

import os
from typing import Any

import jax
from jax.sharding import Mesh

from edeline_jax.runtime.errors import ConfigError


def check_capacity(state: Any, replay: Any, mesh: Mesh) -> None:
    """Raises ConfigError if parameters, optimizers and replay alone are too large for a device.

    Args:
      state, replay: trees of global shapes; the replay is split over the devices, the state is copied to each.
    """
    memory = _device_memory(mesh)
    state_bytes = _size(state)
    replay_bytes = _size(replay) / mesh.size
    for name, size in (("agent", state_bytes), ("collection.num_steps_total", state_bytes + replay_bytes)):
        if size > memory:
            raise ConfigError(
                f"config.{name}: networks with their optimizers take {state_bytes / 1e9:,.1f} GB and the replay "
                f"{replay_bytes / 1e9:,.1f} GB of each device, which has {memory / 1e9:,.1f} GB; make them smaller"
            )


def _device_memory(mesh: Mesh) -> float:
    """Bytes of memory of one device; virtual CPU devices share the machine's."""
    device = mesh.local_devices[0]
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return limit or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / len(mesh.local_devices)


def _size(tree: Any) -> float:
    return float(sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree)))
