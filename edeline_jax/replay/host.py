"""A replay on the host, for one that is larger than the devices: its frames are in memory-mapped files.

It is a `Replay` of NumPy arrays with the streams of this process. Only the table of the episodes is on the devices,
which draw places from it as they do from a replay of their own; the steps there are read on the host.
"""

import os
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.chunk import Chunk
from edeline_jax.runtime.devices import local
from edeline_jax.runtime.errors import UserError, refusal


def is_on_host(replay: Replay) -> bool:
    """Whether the steps of a replay are on the host."""
    return isinstance(replay.frames, np.ndarray)


def allocate(shapes: Replay, folder: str | None) -> Replay:
    """An empty replay on the host.

    Args:
      shapes: of its arrays.
      folder: where the files of frames and finals lie; None: in the system's folder for temporary files. They have no
        name, so they are gone with the process, however that ends.

    Raises:
      UserError: the disk has no room.
    """
    frames, finals = jax.tree.map(lambda x: _map(x, folder), (shapes.frames, shapes.finals))
    small = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes._replace(frames=None, finals=None))
    return small._replace(frames=frames, finals=finals)


def _map(shape: jax.ShapeDtypeStruct, folder: str | None) -> np.memmap:
    """An array in a file; see `allocate`."""
    size = shape.size * shape.dtype.itemsize
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a write to a map that finds the disk full would kill the run
            return np.memmap(file, shape.dtype, "r+", shape=shape.shape)
    except OSError as error:
        place = folder or tempfile.gettempdir()
        raise UserError(
            f"config.replay.placement: {size / 1e9:,.1f} GB of frames cannot be kept in {place} ({refusal(error)})"
        ) from error


def write(replay: Replay, chunk: Chunk, step: int) -> None:
    """Writes a chunk into every stream in place, as `buffer.append` does on devices."""
    n = min(chunk.actions.shape[1], replay.actions.shape[1] - step)
    for name in replay.kept:
        stored = getattr(replay, name)
        stored[:, step : step + n] = getattr(chunk, name)[:, :n].reshape(-1, n, *stored.shape[2:])


def on_one_device(replay: Replay, num_steps: int) -> Replay:
    """What the first device of this process has; of a replay on the host, the first `num_steps` of the first stream."""
    if not is_on_host(replay):
        return local(replay)
    episodes, count = (np.asarray(x.addressable_data(0))[0] for x in (replay.episodes, replay.num_episodes))
    stream, first, length, goes_on = episodes[:count].T
    own = (stream == 0) & (first < num_steps)
    goes_on = goes_on & (first + length < num_steps)
    rows = np.stack([stream, first, np.minimum(length, num_steps - first), goes_on], 1)[own]
    steps = (jnp.asarray(x[:1, :num_steps]) for x in replay[:4])
    return Replay(*steps, jnp.asarray(rows[None]), jnp.array([len(rows)], jnp.int32))
