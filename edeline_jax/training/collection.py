"""Collection: the policy's experience goes into the replay."""

import functools

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from edeline_jax.config import Config
from edeline_jax.envs import VectorEnv, make_env
from edeline_jax.replay.buffer import EpisodeTable, Replay, append, init_replay
from edeline_jax.training.devices import REPLAY_SPEC
from edeline_jax.training.player import Player, stack
from edeline_jax.training.scoreboard import Game


class Collector:
    """Plays the training environments and appends what happens to the replay."""

    def __init__(self, player: Player, table: EpisodeTable, mesh: Mesh):
        self._player, self._table = player, table
        self._sharding = NamedSharding(mesh, REPLAY_SPEC)
        self._append = jax.jit(append, donate_argnums=0)
        self._reward_signs = np.zeros(3, int)  # of steps with reward < 0, = 0, > 0

    @property
    def num_steps(self) -> int:
        """Environment steps in the replay."""
        return self._table.step * self._player.env.num_envs

    @property
    def minority_rewards(self) -> int:
        """Steps collected by this object whose reward sign is not the most frequent one."""
        return int(self._reward_signs.sum() - self._reward_signs.max())

    def collect(self, params: dict, replay: Replay, num_steps: int) -> tuple[Replay, list[Game]]:
        """Collects at least `num_steps` environment steps, spread evenly over the environments.

        Args:
          params: of the actor-critic, on one device.
          replay: given up.

        Returns:
          The replay with the new steps, and the games that ended meanwhile.
        """
        plays = [self._player.step(params) for _ in range(-(-num_steps // self._player.env.num_envs))]
        first = self._table.step
        for play in plays:
            self._table.advance(play.transition.end | play.transition.trunc)
            self._reward_signs += [(np.sign(play.transition.reward) == sign).sum() for sign in (-1, 0, 1)]
        chunk = jax.tree.map(lambda x: jax.device_put(x, self._sharding), stack(plays))
        replay = self._append(replay, chunk, first)
        episodes, num_episodes = (jax.device_put(x, self._sharding) for x in self._table.arrays())
        return replay._replace(episodes=episodes, num_episodes=num_episodes), [
            game for play in plays for _, game in play.games
        ]


def make_environments(config: Config, num_envs: int, seed: int, training: bool) -> VectorEnv:
    """Environments of the config, for training (a lost life may end an episode) or for tests."""
    c = config.env
    settings = {"frame_skip": c.frame_skip, "noop_max": c.noop_max, "max_episode_frames": c.max_episode_frames}
    return make_env(c.id, num_envs, seed, c.size, training and c.done_on_life_loss, **settings)


def steps_per_env(config: Config) -> int:
    """The capacity of one environment's stream: all advance together, and the run's last step is rounded up."""
    return -(-config.collection.num_steps_total // config.env.num_envs)


def empty_replay(config: Config, mesh: Mesh) -> Replay:
    """The run's replay, zeros spread over the mesh."""
    num_envs, num_steps, frame_size = config.env.num_envs, steps_per_env(config), 3 * config.env.size**2
    init = functools.partial(init_replay, num_envs, num_steps, frame_size, mesh.size)
    return jax.jit(init, out_shardings=NamedSharding(mesh, REPLAY_SPEC))()
