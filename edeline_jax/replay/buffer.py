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


def append(replay: Replay, chunk: Chunk, step: jax.Array) -> Replay:
    """Writes a chunk at position `step` of every stream. The episode table is not touched."""

    def write(stored: jax.Array, new: np.ndarray) -> jax.Array:
        new = new.reshape(*new.shape[:2], *stored.shape[2:])
        return jax.lax.dynamic_update_slice_in_dim(stored, new, step, 1)

    return replay._replace(**{name: write(getattr(replay, name), new) for name, new in chunk._asdict().items()})


class EpisodeTable:
    """The host's account of the episodes in S streams that advance together; `arrays` is what the replay holds."""

    def __init__(self, num_streams: int, num_steps: int, num_devices: int = 1):
        self.step = 0  # position at which every stream goes on
        self._per_device = num_streams // num_devices
        self._episodes = np.zeros((num_devices, self._per_device * num_steps, 3), np.int32)
        self._num_episodes = np.zeros(num_devices, np.int32)
        self._open = np.full(num_streams, -1)  # each stream's unfinished episode, as a row of its device's table

    @classmethod
    def restore(cls, replay: Replay, step: int) -> "EpisodeTable":
        """The account of a stored replay, filled up to `step`. Episodes that were open are closed as they stand."""
        table = cls(replay.frames.shape[0], replay.frames.shape[1], len(replay.num_episodes))
        table.step = step
        table._episodes[:] = replay.episodes
        table._num_episodes[:] = replay.num_episodes
        return table

    def advance(self, dones: np.ndarray) -> None:
        """Counts one step of every stream; where `dones` [S], it was the last of its episode."""
        for stream, done in enumerate(dones):
            device, local = divmod(stream, self._per_device)
            if self._open[stream] < 0:
                self._open[stream] = self._num_episodes[device]
                self._episodes[device, self._open[stream]] = local, self.step, 0
                self._num_episodes[device] += 1
            self._episodes[device, self._open[stream], 2] += 1
            if done:
                self._open[stream] = -1
        self.step += 1

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """`Replay.episodes` and `Replay.num_episodes`."""
        return self._episodes.copy(), self._num_episodes.copy()
