"""Loads a static dataset into the replay, in place of collection."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from edeline_jax.config import Config
from edeline_jax.dataset.episodes import Dataset, Episode, open_dataset
from edeline_jax.envs import count_actions
from edeline_jax.replay.buffer import REPLAY_SPEC, Replay, init_replay
from edeline_jax.replay.host import allocate
from edeline_jax.runtime.errors import ConfigError
from edeline_jax.runtime.files import to_path


def open_static_dataset(config: Config, num_devices: int) -> Dataset:
    """The dataset of `collection.path_to_static_dataset`.

    Raises:
      DatasetError: it cannot be read.
      ConfigError: it does not fit the config.
    """
    dataset = open_dataset(to_path(config.collection.path_to_static_dataset))
    height, width, _ = dataset.frame_shape
    if height != width:
        raise ConfigError(f"{dataset.folder}: frames of {height} x {width}; they must be square: crop or pad them")
    if dataset.frame_shape != config.frame_shape:
        raise ConfigError(
            f"config.env.size: {config.env.size}, but the frames of {dataset.folder} are {dataset.frame_shape}: take "
            f"{height}"
        )
    if config.has_env and count_actions(config.env) != dataset.num_actions:
        raise ConfigError(
            f"config.env.id: {config.env.id} has {count_actions(config.env)} actions, {dataset.folder} has "
            f"{dataset.num_actions}; name the game it was recorded from, or none"
        )
    if len(dataset.entries) < num_devices:
        raise ConfigError(
            f"{dataset.folder}: {len(dataset.entries)} episodes cannot be spread over {num_devices} devices"
        )
    return dataset


def hold_out(dataset: Dataset, share: float, num_devices: int) -> tuple[Dataset, Dataset]:
    """Splits off about `share` of the episodes, but at least one, evenly over their ages.

    Returns:
      The episodes to train on, one for each device at the least, and those to test on, which may be none.
    """
    n = len(dataset.entries)
    count = min(max(1, round(share * n)) if share > 0 else 0, n - num_devices)
    chosen = {(2 * i + 1) * n // (2 * count) for i in range(count)}
    parts = [tuple(entry for i, entry in enumerate(dataset.entries) if (i in chosen) == held) for held in (False, True)]
    train, test = (dataset._replace(entries=entries) for entries in parts)
    return train, test


def replay_shapes(dataset: Dataset, num_devices: int) -> Replay:
    """The shapes of the replay that holds the dataset."""
    longest = max(sum(lengths) for lengths in _lengths(dataset, num_devices))
    return jax.eval_shape(lambda: init_replay(num_devices, longest, int(np.prod(dataset.frame_shape)), num_devices))


def load_replay(dataset: Dataset, mesh: Mesh, placement: str = "device", folder: str | None = None) -> Replay:
    """Loads the dataset: each of the D devices has one stream with every D-th episode.

    Args:
      placement: "device", or "host": the steps of this process's devices stay on the host.
      folder: see `replay.host.allocate`.

    Raises:
      DatasetError: an episode cannot be read.
      UserError: the host has no room.
    """
    D = mesh.size
    shapes = replay_shapes(dataset, D)
    devices = range(D)
    if placement == "host":
        devices = [i for i, device in enumerate(mesh.devices.ravel()) if device.process_index == jax.process_index()]
        own = (jax.ShapeDtypeStruct((len(devices), *x.shape[1:]), x.dtype) for x in shapes[:4])
        replay = allocate(Replay(*own, *shapes[4:]), folder)
    else:
        replay = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    for device, lengths in enumerate(_lengths(dataset, D)):
        firsts = np.cumsum([0, *lengths[:-1]])
        replay.episodes[device, : len(lengths)] = np.stack([0 * firsts, firsts, lengths, 0 * firsts], 1)
        replay.num_episodes[device] = len(lengths)
    for number, episode in enumerate(dataset.episodes()):
        row, device = divmod(number, D)
        if device in devices:
            _fill(replay, device - devices[0], replay.episodes[device, row], episode)
    sharding = NamedSharding(mesh, REPLAY_SPEC)

    def place(x: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(x.shape, sharding, lambda part: x[part])

    if placement == "host":
        return replay._replace(episodes=place(replay.episodes), num_episodes=place(replay.num_episodes))
    return jax.tree.map(place, replay)


def _fill(replay: Replay, stream: int, row: np.ndarray, episode: Episode) -> None:
    """Writes an episode into a stream at its place, a row of the table."""
    _, first, steps, _ = row
    place = (stream, slice(first, first + steps))
    replay.frames[place] = episode.frames.reshape(steps, -1)
    replay.actions[place] = episode.actions
    replay.rewards[place] = episode.rewards
    replay.ends[place] = episode.ends


def _lengths(dataset: Dataset, num_devices: int) -> list[list[int]]:
    """The lengths of each device's episodes, oldest first."""
    return [[entry.steps for entry in dataset.entries[device::num_devices]] for device in range(num_devices)]
