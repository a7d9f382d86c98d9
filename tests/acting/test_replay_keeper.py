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
    return Chunk(frames, actions, rng.normal(size=(STREAMS, STEPS)).astype(np.float32), ends, ends, starts, starts)


def kept(folder: Path, devices: int) -> tuple[Replay, Replay]:
    """The replay after two parts of the steps, and as it is restored."""
    values = get_config()
    values.env.num_envs = STREAMS
    config, mesh = pour(values), make_mesh(jax.devices()[:devices])

    def keeper() -> ReplayKeeper:
        return ReplayKeeper(config, mesh, Journal(folder, STREAMS, (20, 20, 3)), STEPS)

    first, replay = keeper(), empty_replay(config, mesh, STEPS)
    for part in (slice(0, 7), slice(7, STEPS)):
        replay = first.add(replay, Chunk(*(x[:, part] for x in played())))
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
