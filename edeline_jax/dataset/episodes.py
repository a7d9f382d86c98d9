"""The open format of recorded episodes.

A folder with `manifest.json` and one compressed `.npz` per episode of T steps: `frames` uint8 [T, H, W, 3],
`actions` int32 [T], `rewards` float32 [T], `ends` bool [T], `truncations` bool [T]. `actions[t]` was taken in
`frames[t]` and led to `rewards[t]`, `ends[t]` (the episode is over) and `truncations[t]` (it was cut off by a time
limit). Only the last step of an episode may end it or cut it off.

The manifest lists the episodes, oldest first. It is written last: a folder without one is not a dataset.
"""

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from etils.epath import Path

from edeline_jax.dataset.arrays import DatasetError, Layout, Shape, read_arrays, write_arrays
from edeline_jax.runtime.files import write_json

FORMAT, VERSION = "edeline-episodes", 1
MANIFEST = "manifest.json"
MOST_ACTIONS = 2**16
FILE_NAME = re.compile(r"[\w-]+\.npz")


class Episode(NamedTuple):
    """T consecutive steps; the module's docstring gives shapes and dtypes."""

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    ends: np.ndarray
    truncations: np.ndarray


class Entry(NamedTuple):
    """An episode in the manifest."""

    file: str
    steps: int
    total_reward: float
    crc32: int


class Dataset(NamedTuple):
    """A folder of episodes, as its manifest describes it."""

    folder: Path
    frame_shape: tuple[int, int, int]
    num_actions: int
    entries: tuple[Entry, ...]

    @property
    def num_steps(self) -> int:
        """The number of steps in all episodes."""
        return sum(entry.steps for entry in self.entries)

    def read(self, entry: Entry) -> Episode:
        """Reads and checks one episode; raises DatasetError naming its file."""
        path = self.folder / entry.file
        arrays = read_arrays(path, layout((entry.steps,), self.frame_shape), entry.crc32)
        episode = Episode(**arrays)
        check_episode(episode, self.num_actions, path)
        return episode

    def episodes(self) -> Iterator[Episode]:
        """Reads all episodes, oldest first."""
        return (self.read(entry) for entry in self.entries)


def layout(steps: Shape, frame_shape: Shape) -> Layout:
    """Names, shapes and dtypes of the arrays; `steps` is [T] for an episode, [S, n] for S streams."""
    return {
        "frames": ((*steps, *frame_shape), "uint8"),
        "actions": (steps, "int32"),
        "rewards": (steps, "float32"),
        "ends": (steps, "bool"),
        "truncations": (steps, "bool"),
    }


def check_episode(episode: Episode, num_actions: int, path: Path) -> None:
    """Raises DatasetError for invalid values, which training would otherwise learn from silently."""
    if len(episode.actions) == 0:
        raise DatasetError(f"{path}: an episode of no steps")
    if episode.actions.min() < 0 or episode.actions.max() >= num_actions:
        found = f"{episode.actions.min()}..{episode.actions.max()}"
        raise DatasetError(f"{path}: actions {found} outside of 0..{num_actions - 1}")
    if not np.isfinite(episode.rewards).all():
        raise DatasetError(f"{path}: rewards are not finite at step {np.flatnonzero(~np.isfinite(episode.rewards))[0]}")
    over = episode.ends | episode.truncations
    if over[:-1].any():
        step = np.flatnonzero(over)[0]
        raise DatasetError(f"{path}: goes on after its end at step {step}; split it into an episode per file")


def open_dataset(folder: Path) -> Dataset:
    """Reads and checks a folder's manifest, but not its episodes; raises DatasetError naming what is wrong."""
    path = folder / MANIFEST
    if not path.is_file():
        raise DatasetError(
            f"{folder}: no {MANIFEST}: not a dataset (make one with python -m edeline_jax.dataset import)"
        )
    try:
        manifest = json.loads(path.read_text())
        if (manifest["format"], manifest["version"]) != (FORMAT, VERSION):
            raise ValueError(f"expected {FORMAT} version {VERSION}")
        height, width, channels = (_whole(n, 1, 4096) for n in manifest["frame_shape"])
        entries = tuple(_entry(item) for item in manifest["episodes"])
        dataset = Dataset(folder, (height, width, channels), _whole(manifest["num_actions"], 1, MOST_ACTIONS), entries)
        if manifest["num_steps"] != dataset.num_steps:
            raise ValueError(f"lists {dataset.num_steps} steps, says {str(manifest['num_steps'])[:80]}")
        if channels != 3 or not entries or len({entry.file for entry in entries}) < len(entries):
            raise ValueError("needs frames of 3 channels and at least one episode, each listed once")
    except (ValueError, TypeError, KeyError, AttributeError, OSError, OverflowError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DatasetError(f"{path}: not a manifest of episodes ({' '.join(reason.split())[:200]})") from error
    return dataset


class DatasetWriter:
    """Writes a new dataset into an empty or missing folder; `close` writes the manifest."""

    def __init__(self, folder: Path, frame_shape: tuple[int, int, int], num_actions: int):
        if folder.exists() and any(folder.iterdir()):
            raise DatasetError(f"{folder}: not empty; choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._frame_shape = frame_shape
        self._num_actions = num_actions
        self._entries: dict[int, Entry] = {}

    def add(self, episode: Episode, number: int) -> None:
        """Writes an episode; `number` is its place in the manifest, which lists the oldest first."""
        path = self._folder / f"{number:06d}.npz"
        check_episode(episode, self._num_actions, path)
        dtypes = {name: dtype for name, (_, dtype) in layout((), ()).items()}
        write_arrays(path, {name: np.asarray(x, dtypes[name]) for name, x in episode._asdict().items()})
        total = float(episode.rewards.sum())
        self._entries[number] = Entry(path.name, len(episode.actions), total, zlib.crc32(path.read_bytes()))

    def discard(self) -> None:
        """Deletes what was written so far: half a dataset is none."""
        for entry in self._entries.values():
            (self._folder / entry.file).unlink(missing_ok=True)
        if not any(self._folder.iterdir()):
            self._folder.rmdir()

    def close(self) -> Dataset:
        """Writes the manifest and returns the dataset."""
        entries = tuple(self._entries[number] for number in sorted(self._entries))
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "frame_shape": self._frame_shape,
            "num_actions": self._num_actions,
            "num_steps": sum(entry.steps for entry in entries),
            "episodes": [entry._asdict() for entry in entries],
        }
        write_json(self._folder / MANIFEST, manifest)
        return open_dataset(self._folder)


def _entry(item: Any) -> Entry:
    if not isinstance(item["file"], str) or not FILE_NAME.fullmatch(item["file"]):
        raise ValueError(f"file must be the plain name of an .npz, got {str(item['file'])[:80]!r}")
    total = float(item["total_reward"])
    if not np.isfinite(total):
        raise ValueError(f"total_reward of {item['file']} is {total}")
    return Entry(item["file"], _whole(item["steps"], 1, 2**31 - 1), total, _whole(item["crc32"], 0, 2**32))


def _whole(value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"expected a whole number in {low}..{high}, got {str(value)[:80]}")
    return value
