"""Checks that a config fits into memory and onto the disk before anything is allocated."""

import math
import os
import shutil
import tempfile
from typing import Any

import jax
from jax.sharding import Mesh

from edeline_jax.runtime.errors import ConfigError


def check_capacity(state: Any, replay: Any, test_replay: Any, mesh: Mesh) -> None:
    """Raises ConfigError if parameters, optimizers and replays alone are too large for a device.

    Args:
      state, replay: trees of global shapes with their shardings; of a replay on the host: what is on the devices.
      test_replay: the same of the test games, on one device.
    """
    memory = _device_memory(mesh)
    total = 0.0
    for key, what, size, remedy in (
        ("agent", "networks with their optimizers", _size(state), ""),
        (
            "collection.num_steps_total",
            "the replay",
            _size(replay),
            ", or keep it on the host: config.replay.placement=host",
        ),
        ("evaluation.num_steps_replay", "the replay of the test games", _size(test_replay), ""),
    ):
        total += size
        if total > memory:
            raise ConfigError(
                f"config.{key}: {what} would take {size / 1e9:,.1f} GB of a device of {memory / 1e9:,.1f} GB, of "
                f"which {(total - size) / 1e9:,.1f} are taken; make them smaller{remedy}{_fewer(mesh)}"
            )


def check_disk(num_bytes: float, folder: str | None) -> None:
    """Raises ConfigError if a replay of that size on the host has no room in `folder`, see `replay.host.allocate`."""
    folder = folder or tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise ConfigError(
            f"config.collection.num_steps_total: the replay would take {num_bytes / 1e9:,.1f} GB in {folder}, where "
            f"{free / 1e9:,.1f} are free (config.replay.placement=host); make it smaller, or room"
        )


def _device_memory(mesh: Mesh) -> float:
    """Bytes of memory of one device; virtual CPU devices share the machine's."""
    device = mesh.local_devices[0]
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return limit or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / len(mesh.local_devices)


def _fewer(mesh: Mesh) -> str:
    """Devices of a CPU divide its memory, and some things are on each of them."""
    return ", or begin with --cpu_devices=1" if mesh.local_devices[0].platform == "cpu" and mesh.size > 1 else ""


def _size(tree: Any) -> float:
    """Bytes on each device."""

    def of_one(x: Any) -> int:
        return math.prod(x.shape if x.sharding is None else x.sharding.shard_shape(x.shape)) * x.dtype.itemsize

    return float(sum(map(of_one, jax.tree.leaves(tree))))
