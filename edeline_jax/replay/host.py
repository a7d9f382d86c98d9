"""A replay on the host, for one that is larger than the devices: its frames are in a memory-mapped file.

It is a `Replay` of NumPy arrays with the streams of this process. Only the table of the episodes is on the devices,
which draw places from it as they do from a replay of their own; the steps there are read on the host.
"""

import os
import tempfile

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
      folder: where the file of the frames lies; None: in the system's folder for temporary files. It has no name, so
        it is gone with the process, however that ends.

    Raises:
      UserError: the disk has no room.
    """
    size = shapes.frames.size * shapes.frames.dtype.itemsize
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a write to a map that finds the disk full would kill the run
            frames = np.memmap(file, shapes.frames.dtype, "r+", shape=shapes.frames.shape)
    except OSError as error:
        place = folder or tempfile.gettempdir()
        raise UserError(
            f"config.replay.placement: {size / 1e9:,.1f} GB of frames cannot be kept in {place} ({refusal(error)})"
        ) from error
    return Replay(frames, *(np.zeros(x.shape, x.dtype) for x in shapes[1:]))


def write(replay: Replay, chunk: Chunk, step: int) -> None:
    """Writes a chunk into every stream in place, as `buffer.append` does on devices."""
    n = min(chunk.actions.shape[1], replay.actions.shape[1] - step)
    for name in ("frames", "actions", "rewards", "ends"):
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
