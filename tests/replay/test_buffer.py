import jax.numpy as jnp
import numpy as np

from edeline_jax.replay.buffer import append, init_replay
from edeline_jax.replay.chunk import Chunk


def test_what_has_no_room_is_dropped() -> None:
    """Chunks are filled up to one length, so the last one of a run may reach beyond the end."""
    number, no = np.arange(10, dtype=np.int32).reshape(2, 5) + 1, np.zeros((2, 5), bool)
    chunk = Chunk(np.zeros((2, 5, 2, 2, 3), np.uint8) + number[..., None, None, None], number, number, ~no, no, no, no)
    replay = append(init_replay(2, 7, 12), chunk._replace(frames=chunk.frames.astype(np.uint8)), jnp.array(4))
    expected = np.array([[0, 0, 0, 0, 1, 2, 3], [0, 0, 0, 0, 6, 7, 8]])
    np.testing.assert_array_equal(replay.actions, expected)
    np.testing.assert_array_equal(replay.rewards, expected)
    np.testing.assert_array_equal(replay.ends, expected > 0)
    np.testing.assert_array_equal(replay.frames, np.repeat(expected[..., None], 12, -1))
