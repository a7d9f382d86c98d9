"""Streams that do not divide over the devices: every device has what a single one would have."""

from pathlib import Path

import jax
import numpy as np

from edeline_jax.acting.replay_keeper import ReplayKeeper, empty_replay
from edeline_jax.config import pour
from edeline_jax.dataset.journal import Journal
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.chunk import Chunk
from edeline_jax.runtime.devices import make_mesh
from tests.tiny_config import get_config

STREAMS, STEPS = 3, 12


def played() -> Chunk:
    rng = np.random.default_rng(0)
    starts = rng.random((STREAMS, STEPS)) < 0.3
    starts[:, 0] = True
    ends = np.concatenate([starts[:, 1:], np.zeros((STREAMS, 1), bool)], 1)
    frames = rng.integers(0, 256, (STREAMS, STEPS, 20, 20, 3)).astype(np.uint8)
    actions = rng.integers(0, 3, (STREAMS, STEPS)).astype(np.int32)
    rewards = rng.normal(size=(STREAMS, STEPS)).astype(np.float32)
    finals = np.where(ends[..., None, None, None], 255 - frames, 0)
    return Chunk(frames, actions, rewards, ends, ends, starts, starts, finals)


def kept(folder: Path, devices: int, finals: bool = True) -> tuple[Replay, Replay]:
    """The replay after two parts of the steps, and as it is restored; `finals`: whether the journal has them."""
    values = get_config()
    values.env.num_envs, values.agent.kind = STREAMS, "diamond"
    config, mesh = pour(values), make_mesh(jax.devices()[:devices])

    def keeper() -> ReplayKeeper:
        return ReplayKeeper(config, mesh, Journal(folder, STREAMS, (20, 20, 3)), STEPS)

    first, replay = keeper(), empty_replay(config, mesh, STEPS)
    for part in (slice(0, 7), slice(7, STEPS)):
        chunk = played() if finals else played()._replace(finals=None)
        replay = first.add(replay, jax.tree.map(lambda x, part=part: x[:, part], chunk))
    return replay, keeper().restore(empty_replay(config, mesh, STEPS), STEPS)


def test_every_device_has_all_streams(tmp_path: Path) -> None:
    (expected, _), many = kept(tmp_path / "one", 1), kept(tmp_path / "two", 2)
    assert int(expected.num_episodes[0]) > 2 * STREAMS
    for replay in many:
        for name, array in expected._asdict().items():
            copies = getattr(replay, name).addressable_shards
            assert len(copies) == 2
            for copy in copies:
                np.testing.assert_array_equal(copy.data, array, err_msg=name)


def test_where_a_journal_has_no_finals_the_last_frames_stand_for_them(tmp_path: Path) -> None:
    """One of an earlier version; elsewhere they are those that were played."""
    (_, expected), (_, got) = kept(tmp_path / "with", 1), kept(tmp_path / "without", 1, finals=False)
    chunk = played()
    np.testing.assert_array_equal(expected.finals, chunk.finals.reshape(STREAMS, STEPS, -1))
    np.testing.assert_array_equal(got.finals[chunk.ends], got.frames[chunk.ends])
    assert (np.asarray(got.finals[chunk.ends]) != np.asarray(expected.finals[chunk.ends])).any(1).all()
