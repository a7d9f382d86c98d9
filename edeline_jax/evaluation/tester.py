"""Tests an agent by its games, and its world model on these games."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from edeline_jax.acting.player import Player
from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.envs import VectorEnv, env_seed, make_env
from edeline_jax.evaluation.games import play_games
from edeline_jax.evaluation.world_model import world_model_test
from edeline_jax.learning.scalars import summarize_updates
from edeline_jax.learning.setup import make_setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.workdir.progress import Progress


class Evaluation(NamedTuple):
    """The result of a test."""

    games: list[Game]
    replay: Replay  # the first steps of each test environment
    losses: dict[str, float]  # of the world model; empty without one


class Tester:
    """Plays whole games in its own environments. Every process of a run plays the same games."""

    def __init__(self, config: Config, agent: Agent, key: jax.Array):
        self._config = config
        self._agent = agent
        self._key = key
        self._env: VectorEnv | None = None

    def test(self, params: Params, progress: Progress, num_games: int, between: Callable[[], None]) -> Evaluation:
        """Plays `num_games` with `params`, which are on one device; `between`: see `play_games`."""
        c = self._config.evaluation
        if self._env is None:
            seed = env_seed(self._config.seed, 1, progress.env_steps)
            self._env = make_env(self._config.env, c.num_envs, seed, lives_end=False)
        play_key, loss_key = jax.random.split(jax.random.fold_in(self._key, progress.epoch))
        player = Player(self._env, self._agent.actor_critic, c.epsilon, play_key)
        played = play_games(player, params["actor_critic"], num_games, c.num_steps_replay, between)
        losses = {} if self._config.training.model_free else self._losses(params, played.replay, loss_key)
        return Evaluation(played.games, played.replay, losses)

    def _losses(self, params: Params, replay: Replay, key: jax.Array) -> dict[str, float]:
        setup, num_batches = make_setup(self._agent, self._config), self._config.evaluation.num_batches
        return summarize_updates(jax.device_get(world_model_test(params, replay, key, setup, num_batches)))
