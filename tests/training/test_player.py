"""Collection and tests on an environment whose every frame says where it is."""

import jax
import numpy as np
import pytest
from scipy.stats import chisquare

from configs.atari import get_config as atari
from edeline_jax.agent import build_agent, init_params
from edeline_jax.config import pour
from edeline_jax.envs.vector import Transition
from edeline_jax.replay.buffer import EpisodeTable, init_replay
from edeline_jax.training.collection import Collector, steps_per_env
from edeline_jax.training.devices import make_mesh
from edeline_jax.training.evaluation import play_games
from edeline_jax.training.player import Player
from tests.tiny_config import get_config

CONFIG = pour(get_config())
AGENT = build_agent(CONFIG, 3)


class Clock:
    """Environment i plays games of `lengths[i]` steps and loses a life at step 2; a frame shows (i, game, step)."""

    num_actions, frame_shape = 3, (20, 20, 3)

    def __init__(self, lengths: list[int]):
        self.num_envs, self._lengths = len(lengths), np.array(lengths)
        self._game = np.zeros(self.num_envs, int)

    def _frames(self) -> np.ndarray:
        pixel = np.stack([np.arange(self.num_envs), self._game, self._step], -1).astype(np.uint8)
        return np.broadcast_to(pixel[:, None, None], (self.num_envs, *self.frame_shape)).copy()

    def reset(self) -> np.ndarray:
        self._step = np.zeros(self.num_envs, int)
        return self._frames()

    def step(self, actions: np.ndarray) -> Transition:
        self._step += 1
        final_obs, over = self._frames(), self._step == self._lengths
        life_lost = self._step == 2
        reward = self._step.astype(np.float32)
        self._step, self._game = np.where(over, 0, self._step), self._game + over
        return Transition(self._frames(), final_obs, reward, over | life_lost, np.zeros_like(over), over)


@pytest.fixture(scope="module")
def params() -> dict:
    return init_params(AGENT, CONFIG, jax.random.key(0))["actor_critic"]


def test_the_replay_holds_what_happened(params: dict) -> None:
    env, mesh, steps = Clock([5, 7, 3, 4]), make_mesh(), 12
    collector = Collector(Player(env, AGENT.actor_critic, 0.0, jax.random.key(1)), EpisodeTable(4, steps, 4), mesh)
    replay = init_replay(4, steps, 1200, num_devices=4)
    games = []
    for num_steps in (20, 28):  # 5 and 7 steps of 4 environments
        replay, finished = collector.collect(params, replay, num_steps)
        games += finished
    assert collector.num_steps == 48
    pixels = np.asarray(replay.frames).reshape(4, steps, -1, 3)
    assert (pixels == pixels[:, :, :1]).all()
    for i, length in enumerate([5, 7, 3, 4]):
        t = np.arange(steps)
        np.testing.assert_array_equal(pixels[i, :, 0], np.stack([np.full(steps, i), t // length, t % length], -1))
        np.testing.assert_array_equal(replay.rewards[i], t % length + 1)
        np.testing.assert_array_equal(replay.ends[i], (t % length == 1) | (t % length == length - 1))
        ends = [0, *(np.flatnonzero(replay.ends[i]) + 1)]
        firsts = [first for first in ends if first < steps]
        rows = np.asarray(replay.episodes)[i, : replay.num_episodes[i]]
        np.testing.assert_array_equal(rows[:, 0], 0)
        np.testing.assert_array_equal(rows[:, 1], firsts)
        np.testing.assert_array_equal(rows[:, 2], np.diff([*firsts, steps]))
    expected = [length for length in (5, 7, 3, 4) for _ in range(steps // length)]
    assert sorted(game.length for game in games) == sorted(expected)
    assert all(game.score == game.length * (game.length + 1) / 2 for game in games)


def test_minority_rewards_are_those_of_the_rarer_signs(params: dict) -> None:
    env = Clock([5, 5, 5, 5])
    collector = Collector(Player(env, AGENT.actor_critic, 0.0, jax.random.key(1)), EpisodeTable(4, 8, 4), make_mesh())
    plain_step = env.step
    env.step = lambda actions: plain_step(actions)._replace(reward=np.array([0, 0, -1, 2], np.float32))
    collector.collect(params, init_replay(4, 8, 1200, num_devices=4), 32)
    assert collector.minority_rewards == 16


def test_exploration_is_uniform(params: dict) -> None:
    player = Player(Clock([50] * 100), AGENT.actor_critic, 1.0, jax.random.key(2))
    actions = np.concatenate([player.step(params).actions for _ in range(30)])
    assert chisquare(np.bincount(actions, minlength=3)).pvalue > 1e-4


def test_the_policy_is_sampled_and_not_taken_greedily(params: dict) -> None:
    """A fresh actor's logits are all zero, so every action must come up."""
    player = Player(Clock([50] * 100), AGENT.actor_critic, 0.0, jax.random.key(3))
    actions = np.concatenate([player.step(params).actions for _ in range(30)])
    assert chisquare(np.bincount(actions, minlength=3)).pvalue > 1e-4


def test_short_games_are_not_preferred(params: dict) -> None:
    player = Player(Clock([2, 20, 3]), AGENT.actor_critic, 0.0, jax.random.key(4))
    result = play_games(player, params, num_games=7, num_steps_replay=10)
    assert sorted(game.length for game in result.games) == [2, 2, 2, 3, 3, 20, 20]
    rows = np.asarray(result.replay.episodes)[0, : int(result.replay.num_episodes[0])]
    assert rows[:, 2].sum() == 3 * 10  # in tests only the end of a game ends an episode
    assert sorted(rows[rows[:, 0] == 1][:, 2]) == [10]


@pytest.mark.parametrize("num_envs", [1, 8])
def test_the_replay_of_the_paper_takes_1300_megabytes(num_envs: int) -> None:
    values = atari("breakout")
    values.env.num_envs = num_envs
    config = pour(values)
    shapes = jax.eval_shape(lambda: init_replay(num_envs, steps_per_env(config), 3 * 64**2))
    assert shapes.frames.shape[:2] == (num_envs, 100_000 // num_envs)
    assert sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes)) < 1.3e9
