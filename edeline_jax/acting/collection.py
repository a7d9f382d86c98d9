"""Collects experience with the policy into the replay and the run's journal."""

import jax

from edeline_jax.acting.compiled_player import CompiledPlayer
from edeline_jax.acting.player import Player
from edeline_jax.acting.replay_keeper import ReplayKeeper, keeps_finals
from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.envs import VectorEnv, env_seed, make_env
from edeline_jax.envs.in_jit import InJit
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.runtime import cluster


class Collector:
    """Collects steps in training environments, which are created on the first call of `collect`."""

    def __init__(self, config: Config, agent: Agent, keeper: ReplayKeeper, key: jax.Array):
        self.keeper = keeper
        self._config = config
        self._agent = agent
        self._key = key
        self._player: Player | CompiledPlayer | None = None

    def collect(self, params: Params, replay: Replay, num_steps: int) -> tuple[Replay, list[Game]]:
        """See the function `collect`."""
        if self._player is None:
            self._player = self._begin()
        return collect(self._player, self.keeper, params, replay, num_steps)

    def _begin(self) -> Player | CompiledPlayer:
        c, network = self._config, self._agent.actor
        saved = self.keeper.open_games
        steps = int(saved["steps"][0]) if saved else 0  # of the environments that these games are in
        env_steps = (self.keeper.step - steps) * c.env.num_envs
        key = jax.random.fold_in(jax.random.fold_in(self._key, env_steps), jax.process_index())
        env = make_training_env(c, env_steps)
        if isinstance(env, InJit):
            return CompiledPlayer(env, network, c.collection.epsilon, key, self.keeper.part, saved, keeps_finals(c))
        return Player(env, network, c.collection.epsilon, key, keeps_finals(c))


def collect(
    player: Player | CompiledPlayer, keeper: ReplayKeeper, params: Params, replay: Replay, num_steps: int
) -> tuple[Replay, list[Game]]:
    """Collects at least `num_steps` environment steps, the same number in each environment of all processes.

    Args:
      params: of the actor, on one device.
      replay: donated.

    Returns:
      The replay with the new steps, and the games that ended in this process's environments.
    """
    chunk, games = player.play(params, -(-num_steps // (player.env.num_envs * jax.process_count())))
    return keeper.add(replay, chunk, player.open_games()), games


def make_training_env(config: Config, env_steps: int) -> VectorEnv:
    """This process's share of the training environments.

    The seed depends on `env_steps` and the process, so neither a resumed run nor another process repeats their games.
    """
    c = config.env
    seed = env_seed(config.seed, 0, env_steps, jax.process_index())
    return make_env(c, cluster.share(c.num_envs), seed, c.done_on_life_loss)
