"""Recordings by other programs: an `.npz` per episode, or the replay of a run of the authors' programs."""

import numpy as np
from etils.epath import Path

from edeline_jax.dataset.arrays import DatasetError, array_names, read_arrays
from edeline_jax.dataset.authors_episode import find_authors_episodes, read_authors_episode
from edeline_jax.dataset.episodes import Episode, layout


def find_recordings(folder: Path) -> list[Path]:
    """The files of a folder's episodes, oldest first: its `.npz` by their names, or else the authors' by their numbers.

    Raises:
      DatasetError: there are none.
    """
    paths = sorted(folder.glob("*.npz")) or find_authors_episodes(folder)
    if not paths:
        raise DatasetError(f"{folder}: no .npz files there, nor episodes of the authors' program (NUMBER.pt)")
    return paths


def read_recording(path: Path) -> Episode:
    """Reads an episode of the authors' program, or an `.npz`.

    This has `frames` uint8 [T, H, W, 3], `actions` and `rewards` [T], and optionally `ends` and `truncations` [T]. If
    both of the last two are missing, the episode counts as cut off after its last step.

    Raises:
      DatasetError: the file cannot be used; the message names it and what is wrong.
    """
    if path.suffix == ".pt":
        return read_authors_episode(path)
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
