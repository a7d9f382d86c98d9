"""Atari against the emulator driven by hand: every step must be a true transition, also across resets."""

import numpy as np
import pytest

from edeline_jax.config.schema import EnvConfig
from edeline_jax.envs import GAMES, Atari, Transition, make_env
from tests.envs.emulator import Emulator

SIZE, SKIP = 64, 4
FIELDS = Transition._fields[:-1]  # without the measures, of which Atari has none


def settings(game: str, **overrides) -> EnvConfig:
    values = {"num_envs": 1, "size": SIZE, "frame_skip": SKIP, "noop_max": 1, "max_episode_frames": 108_000}
    return EnvConfig(id=game, **values | overrides, done_on_life_loss=True)


def make_atari(game: str, num_envs: int = 1, *, seed: int = 0, lives_end: bool = False, **overrides) -> Atari:
    return Atari(settings(game, **overrides), num_envs, seed, lives_end)


def random_actions(env: Atari, steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(env.num_actions, size=(steps, env.num_envs))


def stack(steps: list[Transition]) -> Transition:
    return Transition(*(np.stack([getattr(step, field) for step in steps]) for field in FIELDS))


def play(env: Atari, actions: np.ndarray) -> tuple[np.ndarray, Transition]:
    """First frames [N,...] and the transitions of a new game, stacked to [T,N,...] once all are there."""
    first = env.reset()
    return first, stack([env.step(a) for a in actions])


def emulate(game: str, actions: np.ndarray, *, life_loss_ends: bool, max_steps: int) -> tuple[np.ndarray, Transition]:
    """What `play` must give for one environment [T,...], with exactly one no-op before every game."""
    emulator, steps, age = Emulator(game, SIZE, SKIP), [], 0
    first = emulator.reset(noops=1)
    for action in actions:
        outcome, age = emulator.step(action), age + 1
        truncation = age == max_steps
        game_over = outcome.game_over or truncation
        end = outcome.game_over or (life_loss_ends and outcome.life_lost)
        obs = emulator.reset(noops=1) if game_over else outcome.frame
        steps.append(Transition(obs, outcome.frame, outcome.reward, end, truncation, game_over))
        age = 0 if game_over else age
    return first, stack(steps)


def assert_same_games(env: Atari, game: str, steps: int, *, life_loss_ends=False, max_steps=27_000) -> Transition:
    actions = random_actions(env, steps)
    first, played = play(env, actions)
    for n in range(env.num_envs):
        expected_first, expected = emulate(game, actions[:, n], life_loss_ends=life_loss_ends, max_steps=max_steps)
        np.testing.assert_array_equal(first[n], expected_first)
        assert played.measures == expected.measures == ()
        for field in FIELDS:
            ours, theirs = getattr(played, field)[:, n], getattr(expected, field)
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{field} of environment {n}")
    return played


@pytest.mark.parametrize("game", ["breakout", "ms_pacman", "pong", "qbert"])
def test_frames_and_rewards_are_the_emulators(game):
    played = assert_same_games(make_atari(game), game, 250)
    assert played.reward.any()
    assert played.obs.dtype == played.final_obs.dtype == np.uint8
    assert played.reward.dtype == np.float32
    assert played.end.dtype == played.truncation.dtype == played.game_over.dtype == bool


@pytest.mark.parametrize("game", ["phoenix", "tic_tac_toe_3d", "adventure"])  # the last one's screen is cut off
def test_games_beyond_the_26_are_the_emulators_too(game):
    env = make_env(settings(game), 1, 0, lives_end=False)
    assert env.num_actions == len(Emulator(game, SIZE, SKIP).actions)  # 8, 10 and 18
    played = assert_same_games(env, game, 60)
    assert (played.obs != played.obs[0]).any()


@pytest.mark.parametrize("life_loss_ends", [True, False])
def test_every_step_is_a_transition_across_game_overs(life_loss_ends):
    env = make_atari("breakout", 3, lives_end=life_loss_ends)
    played = assert_same_games(env, "breakout", 420, life_loss_ends=life_loss_ends)
    assert played.game_over.any(0).all()
    assert (played.game_over.sum(1) < 3).all()  # one is reset while others go on
    assert (played.obs != played.final_obs).any((2, 3, 4))[played.game_over].all()
    lost_lives = played.end & ~played.game_over
    assert lost_lives.any() == life_loss_ends


def test_time_limit_truncates_and_resets():
    env = make_atari("ms_pacman", 2, max_episode_frames=10 * SKIP)
    played = assert_same_games(env, "ms_pacman", 25, max_steps=10)
    assert np.flatnonzero(played.truncation[:, 0]).tolist() == [9, 19]
    assert not played.end.any()


def test_game_without_lives_has_no_life_to_lose():
    env = make_atari("pong", 2, lives_end=True)
    played = assert_same_games(env, "pong", 250)
    assert (played.reward < 0).any()
    assert not played.end.any()


def test_gained_life_is_no_end_nor_is_the_reset_after_it():
    actions = np.random.default_rng(47).choice([1, 4, 5], size=(330, 1))  # always firing: earns a fifth life
    emulator = Emulator("demon_attack", SIZE, SKIP)
    emulator.reset(noops=1)
    start_lives = emulator.ale.lives()
    for action in actions[:312, 0]:
        emulator.step(action)
    assert emulator.ale.lives() > start_lives

    env = make_atari("demon_attack", lives_end=True, max_episode_frames=312 * SKIP)
    played = play(env, actions)[1]
    assert played.truncation[311]  # the next game starts with fewer lives than this one had
    assert not played.end.any()


def test_games_start_with_one_to_noop_max_noops():
    emulator = Emulator("ms_pacman", SIZE, SKIP)
    starts = {emulator.reset(noops).tobytes(): noops for noops in range(1, 31)}
    noops = [starts[frame.tobytes()] for frame in make_atari("ms_pacman", 16, noop_max=30).reset()]
    assert min(noops) <= 10 and max(noops) > 20


def test_same_seed_same_frames_and_other_seeds_share_none():
    def games(seed: int) -> Transition:
        env = make_atari("ms_pacman", 4, seed=seed, noop_max=30)
        return play(env, np.ones((6, 4), int))[1]

    np.testing.assert_array_equal(games(5).obs, games(5).obs)
    # envpool's own seeding, `seed + i`, would give seed 5 the games 1..3 of seed 4.
    assert (games(5).obs[:, :-1] != games(4).obs[:, 1:]).any()


def test_frames_are_contiguous_channels_last():
    env = make_atari("breakout", 2)
    frames = env.reset()
    assert frames.shape == (2, *env.frame_shape) == (2, SIZE, SIZE, 3)
    assert frames.flags.c_contiguous
    assert env.step(np.zeros(2, int)).obs.flags.c_contiguous


@pytest.mark.parametrize("actions", [[0], [0, 4], [-1, 0], [[0, 0]]])
def test_wrong_actions_are_refused(actions):
    env = make_atari("breakout", 2)
    env.reset()
    with pytest.raises(ValueError, match=r"actions must be \[2\] in \[0, 4\)"):
        env.step(np.array(actions))


@pytest.mark.parametrize("game", GAMES)
def test_every_game_exists(game):
    env = make_env(settings(game, noop_max=30), 1, 0, lives_end=True)
    first = env.reset()
    # Some games (Crazy Climber, Kung Fu Master) show the same picture for their first 80 steps.
    assert any((env.step(action).obs != first).any() for action in random_actions(env, 200))


def test_lost_lives_end_only_if_they_should():
    def has_lost_life(lives_end: bool) -> bool:
        env = make_env(settings("breakout"), 1, 0, lives_end)
        played = play(env, random_actions(env, 200))[1]
        return (played.end & ~played.game_over).any()

    assert has_lost_life(lives_end=True)
    assert not has_lost_life(lives_end=False)
