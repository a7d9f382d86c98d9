"""Foreign recordings of an episode: an `.npz` with at least `frames`, `actions` and `rewards`."""

import numpy as np
from etils.epath import Path

from edeline_jax.dataset.arrays import array_names, read_arrays
from edeline_jax.dataset.episodes import Episode, layout


def read_recording(path: Path) -> Episode:
    """Reads `frames` uint8 [T, H, W, 3], `actions` and `rewards` [T], and `ends`, `truncations` [T].

    Without either of the last two, the episode counts as cut off after its last step.

    Raises:
      DatasetError: names the file and what is wrong with it.
    """
    there = array_names(path)
    expected = layout((None,), (None, None, 3))
    wanted = {
        name: spec for name, spec in expected.items() if name in there or name in ("frames", "actions", "rewards")
    }
    arrays = read_arrays(path, wanted)
    T = len(arrays["actions"])
    ends, truncations = arrays.get("ends", np.zeros(T, bool)), arrays.get("truncations", np.zeros(T, bool))
    if T and "ends" not in arrays and "truncations" not in arrays:
        truncations[-1] = True
    return Episode(arrays["frames"], arrays["actions"], arrays["rewards"], ends, truncations)
