"""The replay on the accelerator.

Append-only streams of steps, one per environment, and the table of the episodes in them.

Letters in shapes: S streams, N steps per stream, D devices, M episodes per device at most. Under a mesh, S and D are
spread over the devices, so each device samples from the streams of its own environments.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Replay(NamedTuple):
    """Steps in the order in which they were taken; nothing is ever overwritten.

    Frames are kept flat, because accelerators that tile the last two axes would pad [W, 3] many times over.
    """

    frames: jax.Array  # uint8 [S, N, H * W * C]
    actions: jax.Array  # int32 [S, N]
    rewards: jax.Array  # float32 [S, N], raw
    ends: jax.Array  # bool [S, N]
    episodes: jax.Array  # int32 [D, M, 3]: stream (counted on its device), first step, length; in order of age
    num_episodes: jax.Array  # int32 [D]


class Chunk(NamedTuple):
    """n consecutive steps of every stream, on the host."""

    frames: np.ndarray  # uint8 [S, n, H, W, C]
    actions: np.ndarray  # int32 [S, n]
    rewards: np.ndarray  # float32 [S, n]
    ends: np.ndarray  # bool [S, n]
    truncations: np.ndarray  # bool [S, n]: cut off by a time limit
    starts: np.ndarray  # bool [S, n]: the first step of an episode


def init_replay(num_streams: int, num_steps: int, frame_size: int, num_devices: int = 1) -> Replay:
    """An empty replay; `frame_size` is H * W * C."""
    max_episodes = num_streams // num_devices * num_steps
    return Replay(
        frames=jnp.zeros((num_streams, num_steps, frame_size), jnp.uint8),
        actions=jnp.zeros((num_streams, num_steps), jnp.int32),
        rewards=jnp.zeros((num_streams, num_steps), jnp.float32),
        ends=jnp.zeros((num_streams, num_steps), bool),
        episodes=jnp.zeros((num_devices, max_episodes, 3), jnp.int32),
        num_episodes=jnp.zeros(num_devices, jnp.int32),
    )


def filled_up(chunk: Chunk, length: int) -> Chunk:
    """A chunk of `length` steps, zeros behind its own: chunks of one length share a program that appends them."""
    missing = length - chunk.actions.shape[1]
    return Chunk(*(np.pad(x, [(0, 0), (0, missing), *[(0, 0)] * (x.ndim - 2)]) for x in chunk))


def append(replay: Replay, chunk: Chunk, step: jax.Array) -> Replay:
    """Writes a chunk from position `step` of every stream on, as far as there is room.

    The episode table is not touched.
    """

    def write(stored: jax.Array, new: np.ndarray) -> jax.Array:
        positions = step + jnp.arange(new.shape[1])
        return stored.at[:, positions].set(new.reshape(*new.shape[:2], *stored.shape[2:]), mode="drop")

    names = ("frames", "actions", "rewards", "ends")
    return replay._replace(**{name: write(getattr(replay, name), getattr(chunk, name)) for name in names})


class EpisodeTable:
    """The host's account of the episodes in S streams that advance together; `arrays` is what the replay holds."""

    def __init__(self, num_streams: int, num_steps: int, num_devices: int = 1):
        self.step = 0  # position at which every stream goes on
        self._per_device = num_streams // num_devices
        self._episodes = np.zeros((num_devices, self._per_device * num_steps, 3), np.int32)
        self._num_episodes = np.zeros(num_devices, np.int32)
        self._newest = np.zeros(num_streams, int)  # each stream's latest episode, as a row of its device's table

    def record(self, starts: np.ndarray, first: int | None = None) -> None:
        """Counts n steps of every stream; `starts` bool [S, n] says where an episode begins.

        They stand at position `first`, by default where the last ones stopped; what is passed over is in no episode.
        """
        if first is not None and first != self.step:
            self.step, starts = first, np.concatenate([np.ones_like(starts[:, :1]), starts[:, 1:]], 1)
        for column in starts.T:
            for stream, start in enumerate(column):
                device, local = divmod(stream, self._per_device)
                if start:
                    self._newest[stream] = self._num_episodes[device]
                    self._episodes[device, self._newest[stream]] = local, self.step, 0
                    self._num_episodes[device] += 1
                self._episodes[device, self._newest[stream], 2] += 1
            self.step += 1

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """`Replay.episodes` and `Replay.num_episodes`."""
        return self._episodes.copy(), self._num_episodes.copy()
