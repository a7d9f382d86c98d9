"""Recordings by other programs: an `.npz` per episode, with at least `frames`, `actions` and `rewards`."""

import numpy as np
from etils.epath import Path

from edeline_jax.dataset.arrays import array_names, read_arrays
from edeline_jax.dataset.episodes import Episode, layout


def read_recording(path: Path) -> Episode:
    """Reads `frames` uint8 [T, H, W, 3], `actions` and `rewards` [T], and optionally `ends` and `truncations` [T].

    If both of the last two are missing, the episode counts as cut off after its last step.

    Raises:
      DatasetError: the file cannot be used; the message names it and what is wrong.
    """
    there = array_names(path)
    expected = layout((None,), (None, None, 3))
    wanted = {
        name: spec for name, spec in expected.items() if name in there or name in ("frames", "actions", "rewards")
    }
    arrays = read_arrays(path, wanted)
    T = len(arrays["actions"])
    ends = arrays.get("ends", np.zeros(T, bool))
    truncations = arrays.get("truncations", np.zeros(T, bool))
    if T and "ends" not in arrays and "truncations" not in arrays:
        truncations[-1] = True
    return Episode(arrays["frames"], arrays["actions"], arrays["rewards"], ends, truncations)
