"""Episodes in the replay of a run of the authors' PyTorch programs, a `.pt` file each.

`dataset/train/200/30/4/1234.pt` is the run's 1235th episode: its number is in the file's name, and the folders have its
last three digits. It holds `obs` uint8 [T, 3, H, W], `act` int64 [T], `rew` float32 [T], raw, `end` and `trunc` uint8
[T]; `info` is not read, nor is `info.pt` an episode.

The frames are not quite those of the game. Those programs turn them into floats in [-1, 1] and, to save them, back into
bytes by cutting the fraction off: 63 of the 256 grey levels come out as the level below, which others have as well.
"""

import re
from collections.abc import Mapping

import numpy as np
from etils.epath import Path

from edeline_jax.dataset.arrays import DatasetError, fit_arrays, refuse_large, refuse_special
from edeline_jax.dataset.episodes import Episode
from edeline_jax.runtime.errors import UserError, one_line, refusal
from edeline_jax.runtime.torch_file import read_tensors

FILE_NAME = re.compile(r"([0-9]+)\.pt")
DEPTH = 3  # folders above a file
LAYOUT = {
    "obs": ((None, 3, None, None), "uint8"),
    "act": ((None,), "int32"),
    "rew": ((None,), "float32"),
    "end": ((None,), "bool"),
    "trunc": ((None,), "bool"),
}


def find_authors_episodes(folder: Path) -> list[Path]:
    """The files of a replay, oldest first; `folder` is a run, its `dataset` or its `dataset/train`."""
    replays = (folder / "dataset" / "train", folder / "train", folder)
    replay = next(path for path in replays if path.is_dir() or path == folder)
    there = (path for depth in range(DEPTH + 1) for path in replay.glob("*/" * depth + "*.pt"))
    numbered = ((FILE_NAME.fullmatch(path.name), path) for path in there)
    return [path for _, path in sorted((int(match[1]), path) for match, path in numbered if match)]


def read_authors_episode(path: Path) -> Episode:
    """Reads one of the files.

    Raises:
      DatasetError: it cannot be used; names it and what is wrong.
      UserError: torch is not installed.
    """
    refuse_special(path)
    try:
        refuse_large("it", path.stat().length)  # in memory it takes no more: see read_tensors
        tensors = read_tensors(path)
    except UserError:
        raise
    except OSError as error:
        raise DatasetError(f"{path}: {refusal(error)}") from error
    except Exception as error:  # torch and zipfile raise many kinds on invalid bytes
        raise DatasetError(f"{path}: not an episode of the authors' program ({one_line(error)})") from error
    return to_episode(tensors, path)


def to_episode(tensors: Mapping[str, np.ndarray], path: Path) -> Episode:
    """The episode in the tensors of a file; raises DatasetError naming `path` and what does not fit."""
    arrays = fit_arrays(tensors, LAYOUT, path)
    frames = np.ascontiguousarray(arrays["obs"].transpose(0, 2, 3, 1))
    return Episode(frames, arrays["act"], arrays["rew"], arrays["end"], arrays["trunc"])
