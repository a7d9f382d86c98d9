"""Adds collected steps to the replay, the episode table and the journal."""

import functools
import math
from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from edeline_jax.config import Config
from edeline_jax.dataset.journal import Journal
from edeline_jax.envs import shows_last_frame
from edeline_jax.replay.buffer import COPIES_SPEC, Replay, append, init_replay, num_shares, replay_spec
from edeline_jax.replay.chunk import Chunk, filled_up, with_finals
from edeline_jax.replay.episode_table import EpisodeTable
from edeline_jax.replay.host import allocate, is_on_host, write
from edeline_jax.replay.reward import SIGNS, signs
from edeline_jax.runtime import cluster

_append = jax.jit(append, donate_argnums=0)


class ReplayKeeper:
    """Appends steps to the replay and the journal; keeps the episode table.

    Every process gets the steps of all processes, and keeps those of its own environments, or all steps where the
    environments do not divide over the devices.

    part: the number of steps of each stream that a program appends; longer chunks go in parts.
    open_games: those of this process's environments that went on where the journal was restored to; empty: none.
    """

    def __init__(self, config: Config, mesh: Mesh, journal: Journal, capacity: int):
        """`capacity`: see `steps_per_env`."""
        self._journal = journal
        spec = replay_spec(config.env.num_envs, mesh)
        self._sharding = NamedSharding(mesh, spec)
        if spec == COPIES_SPEC:
            num_streams, devices, first = config.env.num_envs, 1, 0
        else:
            num_streams, devices = cluster.share(config.env.num_envs), len(mesh.local_devices)
            first = jax.process_index() * num_streams
        self._own = slice(first, first + num_streams)
        steps = min(config.collection.steps_per_epoch, config.collection.num_steps_total)
        self.part = -(-steps // config.env.num_envs)
        self._table = EpisodeTable(num_streams, capacity, devices)
        self.open_games: Mapping[str, np.ndarray] = {}
        self._reward_signs = np.zeros(SIGNS, int)  # of steps with reward < 0, = 0, > 0

    @property
    def step(self) -> int:
        """The number of steps in each stream."""
        return self._table.step

    @property
    def minority_rewards(self) -> int:
        """The number of steps whose reward sign is not the most frequent one."""
        return int(self._reward_signs.sum() - self._reward_signs.max())

    def restore(self, replay: Replay, stop: int) -> Replay:
        """Fills an empty replay from the journal up to position `stop`; deletes the journal's chunks beyond it."""
        for first, chunk in self._journal.read(stop):
            replay = self._count(replay, chunk, first)
        cluster.wait_for_all("the journal is read")
        if cluster.is_main():
            self._journal.discard_after(stop)
        if self._table.step == stop:
            games = self._journal.open_games(stop)
            self.open_games = {name: np.split(x, jax.process_count())[jax.process_index()] for name, x in games.items()}
        self._table.step = stop  # even if the last chunk was damaged
        return self._publish(replay)

    def add(self, replay: Replay, chunk: Chunk, open_games: Mapping[str, np.ndarray] | None = None) -> Replay:
        """Adds the new steps of all processes to the journal, and this process's to the replay, which is donated.

        The games that go on after them are saved beside them, if they can be.
        """
        n = chunk.actions.shape[1]
        everywhere, games = cluster.gather((tuple(filled_up(chunk, max(n, self.part))), open_games))
        chunk = Chunk(*jax.tree.map(lambda x: x[:, :n], everywhere))
        if cluster.is_main():
            self._journal.append(chunk, self.step, games)
        return self._publish(self._count(replay, chunk, self.step))

    def _count(self, replay: Replay, chunk: Chunk, first: int) -> Replay:
        self._reward_signs += np.bincount(signs(chunk.rewards).ravel() + 1, minlength=SIGNS)
        if replay.finals is not None:
            chunk = with_finals(chunk)
        own = jax.tree.map(lambda x: x[self._own], chunk)
        self._table.record(own.starts, own.game_starts, first)
        if is_on_host(replay):
            write(replay, own, first)
            return replay
        for begin in range(0, own.actions.shape[1], self.part):
            part = jax.tree.map(lambda x, begin=begin: x[:, begin : begin + self.part], own)
            placed = cluster.place(filled_up(part, self.part), self._sharding)
            replay = _append(replay, placed, first + begin)
        return replay

    def _publish(self, replay: Replay) -> Replay:
        episodes, num_episodes = cluster.place(self._table.arrays(), self._sharding)
        return replay._replace(episodes=episodes, num_episodes=num_episodes)


def steps_per_env(config: Config, stored: int = 0) -> int:
    """The capacity of one environment's stream: the run's steps over the environments, rounded up.

    It never falls below the `stored` steps, though a resumed run may have been given a lower total.
    """
    return max(stored, -(-config.collection.num_steps_total // config.env.num_envs))


def keeps_finals(config: Config) -> bool:
    """Whether the replay keeps what ends led to: DIAMOND learns from it where a world shows it; EDELINE never does."""
    collects = not config.collection.path_to_static_dataset
    return config.agent.kind == "diamond" and collects and shows_last_frame(config.env.id)


def empty_replay(config: Config, mesh: Mesh, capacity: int, folder: str | None = None) -> Replay:
    """A replay for the run, all zeros, with `capacity` steps in each stream.

    It is on the mesh or, with `replay.placement` = host, that of this process; see `allocate` for `folder`.
    """
    frame_size, n = math.prod(config.frame_shape), config.env.num_envs
    if config.replay.placement == "host":
        sizes = cluster.share(n), capacity, frame_size, len(mesh.local_devices), keeps_finals(config)
        return allocate(jax.eval_shape(lambda: init_replay(*sizes)), folder)
    init = functools.partial(init_replay, n, capacity, frame_size, num_shares(n, mesh), keeps_finals(config))
    return jax.jit(init, out_shardings=NamedSharding(mesh, replay_spec(n, mesh)))()
