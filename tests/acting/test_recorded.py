"""A static dataset on the devices, value by value."""

from pathlib import Path

import jax
import numpy as np
import pytest

from edeline_jax.acting.recorded import hold_out, load_replay, open_static_dataset, replay_shapes
from edeline_jax.config import pour
from edeline_jax.dataset.episodes import Dataset, DatasetWriter
from edeline_jax.replay.buffer import Replay
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.runtime.errors import ConfigError
from tests.dataset.test_episodes import LENGTHS, episode
from tests.tiny_config import get_config


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Episodes of nine lengths; their arrays are random."""
    writer = DatasetWriter(tmp_path / "data", (6, 8, 3), 4)
    for number, length in enumerate(LENGTHS):
        writer.add(episode(length, number), number)
    return writer.close()


def expected(num_devices: int) -> Replay:
    """Device d has episodes d, d + D, d + 2 D, ... one behind the other, and zeros after them."""
    shares = [range(device, len(LENGTHS), num_devices) for device in range(num_devices)]
    longest = max(sum(LENGTHS[number] for number in share) for share in shares)
    arrays = {name: [] for name in ("frames", "actions", "rewards", "ends")}
    tables = np.zeros((num_devices, longest, 4), int)
    for device, share in enumerate(shares):
        for name, rows in arrays.items():
            stream = np.concatenate([getattr(episode(LENGTHS[number], number), name) for number in share])
            stream = stream.reshape(len(stream), -1) if name == "frames" else stream
            rows.append(np.concatenate([stream, np.zeros((longest - len(stream), *stream.shape[1:]), stream.dtype)]))
        first = 0
        for row, number in enumerate(share):
            tables[device, row] = 0, first, LENGTHS[number], 0
            first += LENGTHS[number]
    streams = {name: np.stack(rows) for name, rows in arrays.items()}
    return Replay(**streams, episodes=tables, num_episodes=np.array([len(share) for share in shares]))


@pytest.mark.parametrize("num_devices", [1, 2, 8])
def test_every_array_of_the_replay(dataset: Dataset, num_devices: int) -> None:
    mesh = make_mesh(jax.devices()[:num_devices])
    replay = load_replay(dataset, mesh)
    assert replay.finals is None
    for name in (*replay.kept, "episodes", "num_episodes"):
        array = getattr(expected(num_devices), name)
        np.testing.assert_array_equal(getattr(replay, name), array, err_msg=name)
        for device, shard in enumerate(getattr(replay, name).addressable_shards):
            assert shard.device == mesh.devices[device]
            np.testing.assert_array_equal(shard.data, array[device : device + 1], err_msg=name)
    planned = replay_shapes(dataset, num_devices)
    shapes, planned_shapes = ([(x.shape, x.dtype) for x in jax.tree.leaves(tree)] for tree in (replay, planned))
    assert planned_shapes == shapes


@pytest.mark.parametrize(
    ("share", "num_devices", "held"),
    [(0.1, 1, [4]), (0.34, 1, [1, 4, 7]), (0.0, 1, []), (0.001, 1, [4]), (1.0, 8, [4]), (0.5, 9, [])],
)
def test_episodes_of_all_ages_are_held_out(dataset: Dataset, share: float, num_devices: int, held: list[int]) -> None:
    train, test = hold_out(dataset, share, num_devices)
    assert test.entries == tuple(dataset.entries[i] for i in held)
    assert train.entries == tuple(entry for i, entry in enumerate(dataset.entries) if i not in held)


def test_a_device_without_an_episode_is_refused(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "data", (20, 20, 3), 3)
    for number in range(2):
        frames = np.zeros((4, 20, 20, 3), np.uint8)
        plain = episode(4, number)
        writer.add(plain._replace(frames=frames, actions=plain.actions % 3), number)
    writer.close()
    values = get_config()
    values.env.id, values.collection.path_to_static_dataset = "none", str(tmp_path / "data")
    assert len(open_static_dataset(pour(values), 2).entries) == 2
    with pytest.raises(ConfigError, match="2 episodes cannot be spread over 3 devices"):
        open_static_dataset(pour(values), 3)


def test_frames_that_are_not_square_or_of_another_size_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    values = get_config()
    values.env.id, values.collection.path_to_static_dataset = "none", str(dataset.folder)
    with pytest.raises(ConfigError, match="frames of 6 x 8; they must be square: crop or pad them"):
        open_static_dataset(pour(values), 1)
    writer = DatasetWriter(tmp_path / "square", (8, 8, 3), 4)
    writer.add(episode(4)._replace(frames=np.zeros((4, 8, 8, 3), np.uint8)), 0)
    writer.close()
    values.collection.path_to_static_dataset = str(tmp_path / "square")
    with pytest.raises(ConfigError, match=r"config\.env\.size: 20, but the frames .* are \(8, 8, 3\): take 8"):
        open_static_dataset(pour(values), 1)
