"""The replay: on the accelerators, where it is kept by the functions below, or on the host, see `replay.host`.

Append-only streams of steps, one per environment, and the table of the episodes in them.

Letters in shapes: S streams, N steps per stream, D devices, M episodes per device at most. Under a mesh, S and D are
split over the devices, so each device samples from the streams of its own environments. Where the streams do not
divide, every device has a copy of all of them, and D is 1.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from edeline_jax.replay.chunk import Chunk, filled_up
from edeline_jax.replay.episode_table import COLUMNS, EpisodeTable
from edeline_jax.runtime.devices import AXIS

REPLAY_SPEC = P(AXIS)  # split
COPIES_SPEC = P()


def replay_spec(num_streams: int, mesh: Mesh) -> P:
    """How a replay of so many streams lies on the devices: split if they divide, else in copies."""
    return COPIES_SPEC if num_streams % mesh.size else REPLAY_SPEC


def num_shares(num_streams: int, mesh: Mesh) -> int:
    """D, into how many parts the streams are split."""
    return 1 if num_streams % mesh.size else mesh.size


class Replay(NamedTuple):
    """Steps in the order in which they were taken; nothing is ever overwritten.

    Frames are stored flat: accelerators that tile the last two axes would pad [W, 3] to many times its size.
    """

    frames: jax.Array  # uint8 [S, N, H * W * C]
    actions: jax.Array  # int32 [S, N]
    rewards: jax.Array  # float32 [S, N], raw
    ends: jax.Array  # bool [S, N]
    episodes: jax.Array  # int32 [D, M, 4], oldest first; see `EpisodeTable`
    num_episodes: jax.Array  # int32 [D]
    finals: jax.Array | None = None  # uint8 [S, N, H * W * C]: what an end led to; None: not kept

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of the arrays [S, N, ...]."""
        finals = () if self.finals is None else ("finals",)
        return "frames", "actions", "rewards", "ends", *finals

    @property
    def table(self) -> "Replay":
        """The same without steps: all that is needed to draw places."""
        return Replay(None, None, None, None, self.episodes, self.num_episodes)


def init_replay(
    num_streams: int, num_steps: int, frame_size: int, num_devices: int = 1, finals: bool = False
) -> Replay:
    """An empty replay; `frame_size` is H * W * C. `finals`: whether it keeps them."""
    max_episodes = num_streams // num_devices * num_steps
    return Replay(
        frames=jnp.zeros((num_streams, num_steps, frame_size), jnp.uint8),
        actions=jnp.zeros((num_streams, num_steps), jnp.int32),
        rewards=jnp.zeros((num_streams, num_steps), jnp.float32),
        ends=jnp.zeros((num_streams, num_steps), bool),
        episodes=jnp.zeros((num_devices, max_episodes, COLUMNS), jnp.int32),
        num_episodes=jnp.zeros(num_devices, jnp.int32),
        finals=jnp.zeros((num_streams, num_steps, frame_size), jnp.uint8) if finals else None,
    )


def append(replay: Replay, chunk: Chunk, step: jax.Array) -> Replay:
    """Writes a chunk into every stream, starting at position `step`; steps beyond the end are dropped.

    The episode table is not touched.
    """

    chex.assert_tree_shape_prefix(chunk, (len(replay.actions), chunk.actions.shape[1]))

    def write(stored: jax.Array, new: np.ndarray) -> jax.Array:
        positions = step + jnp.arange(new.shape[1])
        return stored.at[:, positions].set(new.reshape(*new.shape[:2], *stored.shape[2:]), mode="drop")

    return replay._replace(**{name: write(getattr(replay, name), getattr(chunk, name)) for name in replay.kept})


def replay_of(chunk: Chunk, num_steps: int | None = None, num_devices: int = 1) -> Replay:
    """A replay that holds one chunk; each stream has room for `num_steps`, by default just the chunk's."""
    num_streams, length = chunk.actions.shape
    num_steps = num_steps or length
    table = EpisodeTable(num_streams, num_steps, num_devices)
    table.record(chunk.starts, chunk.game_starts)
    empty = init_replay(num_streams, num_steps, chunk.frames[0, 0].size, num_devices, chunk.finals is not None)
    episodes, num_episodes = (jnp.asarray(x) for x in table.arrays())
    return append(empty, filled_up(chunk, num_steps), 0)._replace(episodes=episodes, num_episodes=num_episodes)
