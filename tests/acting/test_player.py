"""Players, collection and tests on an environment whose every frame says where it is."""

from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.stats import chisquare

from configs.atari import get_config as atari
from edeline_jax.acting.collection import collect
from edeline_jax.acting.player import Player, stack
from edeline_jax.acting.replay_keeper import ReplayKeeper, empty_replay, steps_per_env
from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.dataset.journal import Journal, episodes
from edeline_jax.evaluation.games import play_games
from edeline_jax.replay.buffer import Replay, init_replay
from edeline_jax.replay.frame import to_float
from edeline_jax.replay.sampling import Step, places, read
from edeline_jax.replay.segment import segments_with_finals
from edeline_jax.runtime.devices import make_mesh
from tests.acting.clock import Clock, pixels
from tests.acting.policies import greedy, random_policy, undecided, with_habit
from tests.runs import PROGRAM
from tests.tiny_config import get_config

CONFIG = pour(get_config())
AGENT = build_agent(CONFIG, 3)


@pytest.fixture(scope="module")
def params() -> dict:
    return undecided(random_policy(AGENT.actor_critic))


NUM_STEPS = steps_per_env(CONFIG)  # in each of 8 streams
LENGTHS = [5, 7, 3, 4, 6, 8, 9, 5]  # of the games in them


def keeper(folder: Path) -> ReplayKeeper:
    return ReplayKeeper(CONFIG, make_mesh(), Journal(folder, 8, (20, 20, 3)), NUM_STEPS)


def collected(folder: Path, params: dict) -> tuple[Replay, list[Game], list[int]]:
    """The replay after two collections with a resume between them, the games that ended, and the steps."""
    games, steps = [], []
    replay = empty_replay(CONFIG, make_mesh(), NUM_STEPS)
    for num_steps in (40, 56):  # 5 and 7 steps of 8 environments
        player, account = Player(Clock(LENGTHS), AGENT.actor_critic, 0.0, jax.random.key(1)), keeper(folder)
        replay = account.restore(empty_replay(CONFIG, make_mesh(), NUM_STEPS), sum(steps))
        replay, finished = collect(player, account, params, replay, num_steps)
        games += finished
        steps.append(account.step - sum(steps))
    return replay, games, steps


def test_the_replay_holds_what_happened(tmp_path: Path, params: dict) -> None:
    """A resume begins new games everywhere; the open episodes are cut off where they stand."""
    replay, games, steps = collected(tmp_path, params)
    assert steps == [5, 7]
    frames = np.asarray(replay.frames).reshape(8, NUM_STEPS, -1, 3)
    assert (frames == frames[:, :, :1]).all()
    t = np.concatenate([np.arange(n) for n in steps])
    for i, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(frames[i, :12, 0], pixels(i, t // length, t % length))
        np.testing.assert_array_equal(replay.rewards[i, :12], t % length + 1)
        np.testing.assert_array_equal(replay.ends[i, :12], (t % length == 1) | (t % length == length - 1))
        firsts = np.flatnonzero((t % length == 0) | (t % length == 2))
        rows = np.asarray(replay.episodes)[i, : replay.num_episodes[i]]
        np.testing.assert_array_equal(rows[:, 0], 0)
        np.testing.assert_array_equal(rows[:, 1], firsts)
        np.testing.assert_array_equal(rows[:, 2], np.diff([*firsts, 12]))
        goes_on = (t % length != length - 1) & (np.append(t[1:], 0) == t + 1)
        np.testing.assert_array_equal(rows[:, 3], goes_on[rows[:, 1] + rows[:, 2] - 1])
    expected = [length for length in LENGTHS for n in steps for _ in range(n // length)]
    assert sorted(game.length for game in games) == sorted(expected)
    assert all(game.score == game.length * (game.length + 1) / 2 for game in games)


def test_a_resume_begins_new_games_also_behind_a_lost_life(tmp_path: Path, params: dict) -> None:
    """Environment 2 has lost one when the run stops; what that led to was not kept, so the last frame stands for it."""
    replay, _, _ = collected(tmp_path, params)
    stream = jax.tree.map(lambda x: x[2:3], replay)
    rows = np.asarray(stream.episodes[0])
    for first, behind in ((0, 2), (3, 4)):  # a life lost in a game that goes on, and the one before the resume
        row = rows[(rows[:, 1] == first) & (rows[:, 2] == 2)].T
        steps = read(stream, places(Step(*row, t=np.zeros(1, int)), jax.numpy.zeros(1, int), 3))
        finals = np.asarray(segments_with_finals(steps, (20, 20, 3)).frames)[0, 2]
        np.testing.assert_allclose(finals, to_float(stream.frames[0, behind].reshape(20, 20, 3)), atol=1e-6)


def test_the_journal_restores_the_replay_bit_for_bit(tmp_path: Path, params: dict) -> None:
    replay, _, _ = collected(tmp_path, params)
    (tmp_path / "000000012-000000015.npz").write_bytes(b"written after the checkpoint")
    restored = keeper(tmp_path).restore(empty_replay(CONFIG, make_mesh(), NUM_STEPS), 12)
    jax.tree.map(np.testing.assert_array_equal, restored, replay)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000000-000000005.npz", "000000005-000000012.npz"]


def test_in_journals_that_do_not_say_so_every_episode_begins_a_game(tmp_path: Path, params: dict) -> None:
    """Those of earlier versions."""
    replay, _, _ = collected(tmp_path, params)
    for path in tmp_path.iterdir():
        with np.load(path) as arrays:
            older = {name: x for name, x in arrays.items() if name != "game_starts"}
        np.savez(path, **older)
    restored = keeper(tmp_path).restore(empty_replay(CONFIG, make_mesh(), NUM_STEPS), 12)
    expected = np.asarray(replay.episodes).copy()
    assert expected[..., 3].any()
    expected[..., 3] = 0
    jax.tree.map(np.testing.assert_array_equal, restored, replay._replace(episodes=expected))


def test_a_damaged_chunk_costs_its_own_steps_and_no_more(tmp_path: Path, params: dict) -> None:
    replay, _, _ = collected(tmp_path, params)
    chunk = tmp_path / "000000000-000000005.npz"
    chunk.write_bytes(chunk.read_bytes()[:-100])
    account = keeper(tmp_path)
    restored = account.restore(empty_replay(CONFIG, make_mesh(), NUM_STEPS), 12)
    assert account.step == 12 and chunk.exists()
    np.testing.assert_array_equal(restored.frames[:, 5:], replay.frames[:, 5:])
    for i in range(8):
        rows = np.asarray(restored.episodes)[i, : restored.num_episodes[i]]
        assert rows[:, 1].min() == 5 and rows[:, 2].sum() == 7


def test_a_lost_last_chunk_is_not_collected_again(tmp_path: Path, params: dict) -> None:
    """The run goes on behind it, with new episodes."""
    collected(tmp_path, params)
    (tmp_path / "000000005-000000012.npz").write_bytes(b"damaged")
    account = keeper(tmp_path)
    replay = account.restore(empty_replay(CONFIG, make_mesh(), NUM_STEPS), 12)
    assert account.step == 12
    player = Player(Clock(LENGTHS), AGENT.actor_critic, 0.0, jax.random.key(1))
    replay, _ = collect(player, account, params, replay, 41)  # 6 steps everywhere: as many as asked for, or more
    assert account.step == 18
    for i in range(8):
        rows = np.asarray(replay.episodes)[i, : replay.num_episodes[i]]
        assert 12 in rows[:, 1] and rows[:, 2].sum() == 5 + 6
        assert not rows[rows[:, 1] + rows[:, 2] == 5, 3].any()  # no game goes on over the gap


def assert_journal_has_the_episodes_of(replay: Replay, folder: Path, stop: int) -> None:
    found = dict(episodes(Journal(folder, 8, (20, 20, 3)), stop))
    tables = np.asarray(replay.episodes)
    rows = [(first, i, length) for i in range(8) for _, first, length, _ in tables[i, : replay.num_episodes[i]]]
    assert sorted(found) == list(range(len(rows)))
    for number, (first, stream, length) in enumerate(sorted(rows)):
        steps = slice(first, first + length)
        np.testing.assert_array_equal(found[number].frames.reshape(length, -1), replay.frames[stream, steps])
        np.testing.assert_array_equal(found[number].actions, replay.actions[stream, steps])
        np.testing.assert_array_equal(found[number].rewards, replay.rewards[stream, steps])
        np.testing.assert_array_equal(found[number].ends, replay.ends[stream, steps])


def test_the_journal_gives_back_episodes_in_order_of_age(tmp_path: Path, params: dict) -> None:
    replay, _, _ = collected(tmp_path, params)
    assert_journal_has_the_episodes_of(replay, tmp_path, 12)


def test_episodes_go_on_in_the_next_chunk_but_not_over_a_gap(tmp_path: Path, params: dict) -> None:
    player, account = Player(Clock(LENGTHS), AGENT.actor_critic, 0.0, jax.random.key(1)), keeper(tmp_path)
    replay = account.restore(empty_replay(CONFIG, make_mesh(), NUM_STEPS), 0)
    for _ in range(4):
        replay, _ = collect(player, account, params, replay, 40)
    assert_journal_has_the_episodes_of(replay, tmp_path, 20)
    (tmp_path / "000000010-000000015.npz").unlink()
    restored = keeper(tmp_path).restore(empty_replay(CONFIG, make_mesh(), NUM_STEPS), 20)
    assert int(restored.episodes[..., 2].sum()) == 8 * 15
    assert_journal_has_the_episodes_of(restored, tmp_path, 20)


def test_only_the_first_steps_and_the_first_chunk_compile(
    tmp_path: Path, params: dict, caplog: pytest.LogCaptureFixture
) -> None:
    """Chunks of up to the length of an epoch's share one program, longer ones go in parts; so does the journal."""
    player, account = Player(Clock(LENGTHS), AGENT.actor_critic, 0.0, jax.random.key(1)), keeper(tmp_path)
    replay = account.restore(empty_replay(CONFIG, make_mesh(), NUM_STEPS), 0)
    replay, _ = collect(player, account, params, replay, 16)
    empty = empty_replay(CONFIG, make_mesh(), NUM_STEPS)
    with jax.log_compiles():
        for num_steps in (8, 24, 40, 56):
            replay, _ = collect(player, account, params, replay, num_steps)
        restored = keeper(tmp_path).restore(empty, account.step)
    assert PROGRAM.findall(caplog.text) == []
    jax.tree.map(np.testing.assert_array_equal, restored, replay)


def test_minority_rewards_are_those_of_the_rarer_signs(tmp_path: Path, params: dict) -> None:
    env, account = Clock([5] * 8), keeper(tmp_path)
    plain_step = env.step
    env.step = lambda actions: plain_step(actions)._replace(reward=np.array([0, 0, -1, 2] * 2, np.float32))
    player = Player(env, AGENT.actor_critic, 0.0, jax.random.key(1))
    collect(player, account, params, empty_replay(CONFIG, make_mesh(), NUM_STEPS), 64)
    assert account.minority_rewards == 32
    again = keeper(tmp_path)
    again.restore(empty_replay(CONFIG, make_mesh(), NUM_STEPS), 8)
    assert again.minority_rewards == 32


def test_exploration_is_uniform(params: dict) -> None:
    player = Player(Clock([50] * 100), AGENT.actor_critic, 1.0, jax.random.key(2))
    actions = np.concatenate([player.step(params).actions for _ in range(30)])
    assert chisquare(np.bincount(actions, minlength=3)).pvalue > 1e-4


def test_the_policy_is_sampled_and_not_taken_greedily(params: dict) -> None:
    """All logits are zero, so every action must come up."""
    player = Player(Clock([50] * 100), AGENT.actor_critic, 0.0, jax.random.key(3))
    actions = np.concatenate([player.step(params).actions for _ in range(30)])
    assert chisquare(np.bincount(actions, minlength=3)).pvalue > 1e-4


def test_short_games_are_not_preferred(params: dict) -> None:
    player = Player(Clock([2, 20, 3]), AGENT.actor_critic, 0.0, jax.random.key(4))
    calls = iter(range(60))
    result = play_games(player, params, num_games=7, num_steps_replay=10, between=lambda played: next(calls))
    assert next(calls) == 40  # two games of 20 steps
    assert sorted(game.length for game in result.games) == [2, 2, 2, 3, 3, 20, 20]
    rows = np.asarray(result.replay.episodes)[0, : int(result.replay.num_episodes[0])]
    assert rows[:, 2].sum() == 3 * 10  # in tests only the end of a game ends an episode
    assert sorted(rows[rows[:, 0] == 1][:, 2]) == [10]


STEPS, CUT = 14, (1, 2, 5)  # steps of the tests below; the environments with a time limit
GAME, MOMENT = np.divmod(np.arange(STEPS)[:, None], LENGTHS)  # [T, N]: where each environment is


def test_the_lstm_begins_anew_with_every_episode_and_only_then() -> None:
    """Wherever a game, a life or the time was over."""
    policy = random_policy(AGENT.actor_critic)
    player = Player(Clock(LENGTHS, CUT), AGENT.actor_critic, 0.0, jax.random.key(5))
    plays = [player.step(policy) for _ in range(STEPS)]
    frames, starts, actions = (np.stack([getattr(p, name) for p in plays]) for name in ("frames", "starts", "actions"))
    fresh_game, fresh_life = MOMENT == 0, MOMENT == 2
    np.testing.assert_array_equal(starts, fresh_game | fresh_life)
    np.testing.assert_array_equal(actions, greedy(policy, AGENT.actor_critic, frames, fresh_game | fresh_life))
    limited = np.isin(np.arange(8), CUT)
    never, always = np.zeros_like(starts), np.ones_like(starts)
    for wrong in (never, always, fresh_game, fresh_life, (fresh_game & ~limited) | fresh_life):
        assert (greedy(policy, AGENT.actor_critic, frames, wrong) != actions).any()


def test_a_reset_player_remembers_nothing() -> None:
    policy, env = random_policy(AGENT.actor_critic), Clock([12] + [50] * 7)
    player = Player(env, AGENT.actor_critic, 0.0, jax.random.key(6))
    before = [player.step(policy) for _ in range(9)]
    player.reset()
    after = [player.step(policy) for _ in range(9)]
    for old, new in zip(before, after, strict=True):
        for name in ("frames", "starts", "actions"):
            np.testing.assert_array_equal(getattr(new, name), getattr(old, name))
    assert [player.step(policy).games for _ in range(3)][-1] == [(0, Game(12 * 13 / 2, 12))]


def test_epsilon_is_the_share_of_random_actions() -> None:
    player = Player(Clock([50] * 100), AGENT.actor_critic, 0.3, jax.random.key(7))
    policy = with_habit(random_policy(AGENT.actor_critic), 2)
    actions = np.concatenate([player.step(policy).actions for _ in range(30)])
    assert chisquare(np.bincount(actions, minlength=3), [300, 300, 2400]).pvalue > 1e-4


def test_the_chunk_of_a_collection_is_what_was_played() -> None:
    player = Player(Clock(LENGTHS, CUT), AGENT.actor_critic, 0.5, jax.random.key(5))
    policy = random_policy(AGENT.actor_critic)
    plays = [player.step(policy) for _ in range(STEPS)]
    chunk = stack(plays)
    np.testing.assert_array_equal(chunk.frames[:, :, 0, 0].swapaxes(0, 1), pixels(np.arange(8), GAME, MOMENT))
    np.testing.assert_array_equal(chunk.actions.T, player.env.actions)
    np.testing.assert_array_equal(chunk.rewards.T, MOMENT + 1)
    last, limited = np.equal(MOMENT, np.array(LENGTHS) - 1), np.isin(np.arange(8), CUT)
    np.testing.assert_array_equal(chunk.ends.T, (last & ~limited) | (MOMENT == 1))
    np.testing.assert_array_equal(chunk.truncations.T, last & limited)
    np.testing.assert_array_equal(chunk.starts.T, (MOMENT == 0) | (MOMENT == 2))
    np.testing.assert_array_equal(chunk.game_starts.T, MOMENT == 0)
    assert chunk.finals is None
    led_to = np.where(chunk.ends.T[..., None], pixels(np.arange(8), GAME, np.add(MOMENT, 1)), 0)
    np.testing.assert_array_equal(stack(plays, finals=True).finals[:, :, 0, 0].swapaxes(0, 1), led_to)


@pytest.mark.parametrize("num_envs", [1, 8])
def test_the_replay_of_the_paper_takes_1300_megabytes(num_envs: int) -> None:
    values = atari("breakout")
    values.env.num_envs = num_envs
    config = pour(values)
    shapes = jax.eval_shape(lambda: init_replay(num_envs, steps_per_env(config), 3 * 64**2))
    assert shapes.frames.shape[:2] == (num_envs, 100_000 // num_envs)
    assert sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes)) < 1.3e9
