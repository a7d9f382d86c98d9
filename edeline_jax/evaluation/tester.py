"""Tests an agent by its games, and its world model on these games or on recorded episodes."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax

from edeline_jax.acting.player import Player
from edeline_jax.acting.recorded import load_replay
from edeline_jax.acting.replay_keeper import keeps_finals
from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.dataset.episodes import Dataset
from edeline_jax.envs import VectorEnv, env_seed, make_env
from edeline_jax.evaluation.games import play_games
from edeline_jax.evaluation.world_model import world_model_test
from edeline_jax.learning.scalars import summarize_updates
from edeline_jax.learning.setup import make_setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.host import on_one_device
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.workdir.progress import Progress


class Evaluation(NamedTuple):
    """The result of a test."""

    games: list[Game]
    replay: Replay  # the first steps of each test environment, or the held-out episodes
    losses: dict[str, float]  # of the world model; empty without one


class Tester(Protocol):
    """Tests an agent and its world model."""

    def test(self, params: Params, progress: Progress, num_games: int, between: Callable[[int], None]) -> Evaluation:
        """Tests `params`, which are on one device, on `num_games` games if there is a game; see `play_games`."""


class GameTester:
    """Plays whole games in its own environments. Every process of a run plays the same games."""

    def __init__(self, config: Config, agent: Agent, key: jax.Array):
        self._config = config
        self._agent = agent
        self._key = key
        self._env: VectorEnv | None = None

    def test(self, params: Params, progress: Progress, num_games: int, between: Callable[[int], None]) -> Evaluation:
        """See `Tester`."""
        c = self._config.evaluation
        if self._env is None:
            seed = env_seed(self._config.seed, 1, progress.env_steps)
            self._env = make_env(self._config.env, c.num_envs, seed, lives_end=False)
        play_key, loss_key = jax.random.split(jax.random.fold_in(self._key, progress.epoch))
        player = Player(self._env, self._agent.actor, c.epsilon, play_key, keeps_finals(self._config))
        played = play_games(player, self._agent.actor_params(params), num_games, c.num_steps_replay, between)
        losses = {}
        if not self._config.training.model_free:
            losses = _losses(params, played.replay, loss_key, self._agent, self._config)
        return Evaluation(played.games, played.replay, losses)


class RecordedTester:
    """Tests the world model on recorded episodes that it is not trained on."""

    def __init__(self, config: Config, agent: Agent, episodes: Dataset, key: jax.Array, folder: str | None = None):
        """`folder`: see `replay.host.allocate`."""
        self._config = config
        self._agent = agent
        self._key = key
        mesh = make_mesh(jax.local_devices()[:1])
        self._replay = load_replay(episodes, mesh, config.replay.placement, folder)
        self._shown = on_one_device(self._replay, config.evaluation.num_steps_replay)

    def test(self, params: Params, progress: Progress, num_games: int, between: Callable[[int], None]) -> Evaluation:
        """See `Tester`; no games are played."""
        key = jax.random.fold_in(self._key, progress.epoch)
        return Evaluation([], self._shown, _losses(params, self._replay, key, self._agent, self._config))


def _losses(params: Params, replay: Replay, key: jax.Array, agent: Agent, config: Config) -> dict[str, float]:
    setup, num_batches = make_setup(agent, config), config.evaluation.num_batches
    return summarize_updates(jax.device_get(world_model_test(params, replay, key, setup, num_batches)))
