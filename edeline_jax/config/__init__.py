"""The config of a run: frozen dataclasses, filled from an ml_collections file or its JSON and checked at the start.

`configs/atari.py` documents every key with its unit. Model code sees these classes, never a ConfigDict.
"""

from edeline_jax.config.checks import check
from edeline_jax.config.pouring import completed, fill, leaves, to_dict
from edeline_jax.config.schema import Config

__all__ = ["Config", "completed", "leaves", "pour", "to_dict"]


def pour(values: object, num_devices: int = 1, num_processes: int = 1) -> Config:
    """Turns a nested mapping (a ConfigDict, or its JSON) into a checked `Config`.

    Args:
      values: must have every key of the schema, and no other.
      num_devices: the number of devices that a batch is split over.
      num_processes: the number of processes that environments are split over.

    Raises:
      ConfigError: one line that names the key and what to change.
    """
    config = fill(Config, values, "config")
    check(config, num_devices, num_processes)
    return config
