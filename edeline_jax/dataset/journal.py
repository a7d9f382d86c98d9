"""The steps of a run on disk, in the order in which they were taken: one file per chunk, never rewritten."""

import logging
import re
from collections.abc import Iterator, Mapping

import numpy as np
from etils.epath import Path

from edeline_jax.dataset.arrays import DamagedError, read_arrays, read_group, write_arrays
from edeline_jax.dataset.episodes import Episode, layout
from edeline_jax.replay.chunk import Chunk

_LOG = logging.getLogger(__name__)
OPEN_GAMES = "open_games/"  # before the names of their arrays
FILE_NAME = re.compile(r"(\d{9})-(\d{9})\.npz")


class Journal:
    """Chunks of S streams; file `FIRST-STOP.npz` holds positions FIRST .. STOP - 1 of every stream.

    It may also hold the games that go on at STOP, arrays [S, ...] by name.
    """

    def __init__(self, folder: Path, num_streams: int, frame_shape: tuple[int, ...]):
        self._folder = folder
        self._num_streams = num_streams
        self._frame_shape = frame_shape

    def append(self, chunk: Chunk, first: int, open_games: Mapping[str, np.ndarray] | None = None) -> None:
        """Writes a chunk that begins at position `first`; raises UserError if the write fails."""
        stop = first + chunk.actions.shape[1]
        steps = {name: array for name, array in chunk._asdict().items() if array is not None}
        games = {OPEN_GAMES + name: array for name, array in (open_games or {}).items()}
        self._folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self._folder / f"{first:09d}-{stop:09d}.npz", steps | games)

    def read(self, stop: int, begin: int = 0) -> Iterator[tuple[int, Chunk]]:
        """Yields (first position, chunk) from `begin` to `stop`; damaged files are skipped with a warning, and stay.

        Raises:
          MisfitError: a file holds steps of other shapes: the journal is of another config.
          DatasetError: the operating system cannot read a file.
        """
        for first, end, path in files(self._folder):
            if first < begin or end > stop:
                continue
            try:
                yield first, self._read(path, end - first)
            except DamagedError as error:
                _LOG.warning("%s; steps %d to %d are left out", error, first, end - 1)

    def open_games(self, stop: int) -> dict[str, np.ndarray]:
        """The games that went on at position `stop`; empty if they were not saved, or are damaged.

        Raises:
          DatasetError: the operating system cannot read the file.
        """
        for _, end, path in files(self._folder):
            if end == stop:
                try:
                    return read_group(path, OPEN_GAMES)
                except DamagedError as error:
                    _LOG.warning("%s; new games begin", error)
        return {}

    def discard_after(self, stop: int) -> None:
        """Deletes chunks that end after position `stop`, and half-written files."""
        for _, end, path in files(self._folder):
            if end > stop:
                path.unlink()
        for path in self._folder.glob(".*.partial"):
            path.unlink()

    def _read(self, path: Path, num_steps: int) -> Chunk:
        steps = (self._num_streams, num_steps)
        arrays = {**layout(steps, self._frame_shape), "starts": (steps, "bool"), "game_starts": (steps, "bool")}
        arrays["finals"] = arrays["frames"]
        chunk = read_arrays(path, arrays, optional=("game_starts", "finals"))  # earlier versions did not write them
        return Chunk(**{"game_starts": chunk["starts"]} | chunk)


def files(folder: Path) -> list[tuple[int, int, Path]]:
    """(first position, position after the last, path) of the chunks in a folder, in order."""
    if not folder.exists():  # a bucket has no empty folders
        return []
    found = ((FILE_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), int(match[2]), path) for match, path in found if match)


def episodes(journal: Journal, stop: int, begin: int = 0) -> Iterator[tuple[int, Episode]]:
    """Yields (number, episode) up to position `stop`, each once its last step is read; the oldest has number 0.

    Args:
      begin: the position of a chunk, where every stream begins an episode; what came before is left out.
    """
    count = 0
    position = 0
    parts: dict[int, tuple[int, list[Episode]]] = {}  # stream -> number and steps of its open episode
    for first, chunk in journal.read(stop, begin):
        starts = chunk.starts.copy()
        starts[:, 0] |= first != position  # a gap ends every open episode
        position = first + starts.shape[1]
        for stream, step in sorted(np.argwhere(starts).tolist(), key=lambda place: (place[1], place[0])):
            if stream in parts:
                parts[stream][1].append(_slice(chunk, stream, _previous(starts[stream], step), step))
                yield _join(*parts.pop(stream))
            parts[stream] = count, []
            count += 1
        for stream, (_, slices) in parts.items():
            slices.append(_slice(chunk, stream, _previous(starts[stream], starts.shape[1]), starts.shape[1]))
    for stream in sorted(parts):
        yield _join(*parts[stream])


def _previous(starts: np.ndarray, step: int) -> int:
    """The last start before `step`, or 0, the chunk's beginning."""
    before = np.flatnonzero(starts[:step])
    return int(before[-1]) if before.size else 0


def _slice(chunk: Chunk, stream: int, begin: int, stop: int) -> Episode:
    arrays = (chunk.frames, chunk.actions, chunk.rewards, chunk.ends, chunk.truncations)
    return Episode(*(x[stream, begin:stop] for x in arrays))


def _join(number: int, slices: list[Episode]) -> tuple[int, Episode]:
    return number, Episode(*(np.concatenate(parts) for parts in zip(*slices, strict=True)))
