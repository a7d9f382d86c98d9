"""Collection and tests on an environment whose every frame says where it is."""

from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.stats import chisquare

from configs.atari import get_config as atari
from edeline_jax.agent import build_agent, init_params
from edeline_jax.config import pour
from edeline_jax.dataset.journal import Journal, episodes
from edeline_jax.envs.vector import Transition
from edeline_jax.replay.buffer import Replay, init_replay
from edeline_jax.training.collection import ReplayKeeper, collect, empty_replay, steps_per_env
from edeline_jax.training.devices import make_mesh
from edeline_jax.training.evaluation import play_games
from edeline_jax.training.player import Player
from edeline_jax.training.scoreboard import Game
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


NUM_STEPS = steps_per_env(CONFIG)  # in each of 8 streams
LENGTHS = [5, 7, 3, 4, 6, 8, 9, 5]  # of the games in them


def keeper(folder: Path) -> ReplayKeeper:
    return ReplayKeeper(CONFIG, make_mesh(), Journal(folder, 8, (20, 20, 3)))


def collected(folder: Path, params: dict) -> tuple[Replay, list[Game], list[int]]:
    """The replay after two collections with a resume between them, the games that ended, and the steps."""
    games, steps = [], []
    replay = empty_replay(CONFIG, make_mesh())
    for num_steps in (40, 56):  # 5 and 7 steps of 8 environments
        player, account = Player(Clock(LENGTHS), AGENT.actor_critic, 0.0, jax.random.key(1)), keeper(folder)
        replay = account.restore(empty_replay(CONFIG, make_mesh()), sum(steps))
        replay, finished = collect(player, account, params, replay, num_steps)
        games += finished
        steps.append(account.step - sum(steps))
    return replay, games, steps


def test_the_replay_holds_what_happened(tmp_path: Path, params: dict) -> None:
    """A resume begins new games everywhere; the open episodes are cut off where they stand."""
    replay, games, steps = collected(tmp_path, params)
    assert steps == [5, 7]
    pixels = np.asarray(replay.frames).reshape(8, NUM_STEPS, -1, 3)
    assert (pixels == pixels[:, :, :1]).all()
    t = np.concatenate([np.arange(n) for n in steps])
    for i, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(pixels[i, :12, 0], np.stack([np.full(12, i), t // length, t % length], -1))
        np.testing.assert_array_equal(replay.rewards[i, :12], t % length + 1)
        np.testing.assert_array_equal(replay.ends[i, :12], (t % length == 1) | (t % length == length - 1))
        firsts = np.flatnonzero((t % length == 0) | (t % length == 2))
        rows = np.asarray(replay.episodes)[i, : replay.num_episodes[i]]
        np.testing.assert_array_equal(rows[:, 0], 0)
        np.testing.assert_array_equal(rows[:, 1], firsts)
        np.testing.assert_array_equal(rows[:, 2], np.diff([*firsts, 12]))
    expected = [length for length in LENGTHS for n in steps for _ in range(n // length)]
    assert sorted(game.length for game in games) == sorted(expected)
    assert all(game.score == game.length * (game.length + 1) / 2 for game in games)


def test_the_journal_restores_the_replay_bit_for_bit(tmp_path: Path, params: dict) -> None:
    replay, _, _ = collected(tmp_path, params)
    (tmp_path / "000000012-000000015.npz").write_bytes(b"written after the checkpoint")
    restored = keeper(tmp_path).restore(empty_replay(CONFIG, make_mesh()), 12)
    jax.tree.map(np.testing.assert_array_equal, restored, replay)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000000-000000005.npz", "000000005-000000012.npz"]


def test_a_damaged_chunk_costs_its_own_steps_and_no_more(tmp_path: Path, params: dict) -> None:
    replay, _, _ = collected(tmp_path, params)
    chunk = tmp_path / "000000000-000000005.npz"
    chunk.write_bytes(chunk.read_bytes()[:-100])
    account = keeper(tmp_path)
    restored = account.restore(empty_replay(CONFIG, make_mesh()), 12)
    assert account.step == 12 and chunk.with_suffix(".damaged").exists()
    np.testing.assert_array_equal(restored.frames[:, 5:], replay.frames[:, 5:])
    for i in range(8):
        rows = np.asarray(restored.episodes)[i, : restored.num_episodes[i]]
        assert rows[:, 1].min() == 5 and rows[:, 2].sum() == 7


def test_the_journal_gives_back_episodes_in_order_of_age(tmp_path: Path, params: dict) -> None:
    replay, _, _ = collected(tmp_path, params)
    found = dict(episodes(Journal(tmp_path, 8, (20, 20, 3)), 12))
    tables = np.asarray(replay.episodes)
    rows = [(first, i, length) for i in range(8) for _, first, length in tables[i, : replay.num_episodes[i]]]
    assert sorted(found) == list(range(len(rows)))
    for number, (first, stream, length) in enumerate(sorted(rows)):
        steps = slice(first, first + length)
        np.testing.assert_array_equal(found[number].frames.reshape(length, -1), replay.frames[stream, steps])
        np.testing.assert_array_equal(found[number].rewards, replay.rewards[stream, steps])
        np.testing.assert_array_equal(found[number].ends, replay.ends[stream, steps])


def test_minority_rewards_are_those_of_the_rarer_signs(tmp_path: Path, params: dict) -> None:
    env, account = Clock([5] * 8), keeper(tmp_path)
    plain_step = env.step
    env.step = lambda actions: plain_step(actions)._replace(reward=np.array([0, 0, -1, 2] * 2, np.float32))
    player = Player(env, AGENT.actor_critic, 0.0, jax.random.key(1))
    collect(player, account, params, empty_replay(CONFIG, make_mesh()), 64)
    assert account.minority_rewards == 32
    again = keeper(tmp_path)
    again.restore(empty_replay(CONFIG, make_mesh()), 8)
    assert again.minority_rewards == 32


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
    result = play_games(player, params, num_games=7, num_steps_replay=10, between=lambda: None)
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
