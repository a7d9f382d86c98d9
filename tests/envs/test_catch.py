"""Catch: its rules, seen through its frames."""

import dataclasses

import numpy as np
import pytest

from configs.catch import get_config
from edeline_jax.config import pour
from edeline_jax.envs import Catch, make_env
from edeline_jax.envs.catch import BALL, PADDLE, PALETTE

SIZE, EPISODE = 40, 9
LEFT, STAY, RIGHT = range(3)


def cells(frames: np.ndarray, kind: int) -> np.ndarray:
    """bool [N,10,5]: the cells of that colour; each must be one flat rectangle of size/10 x size/5 pixels."""
    height, width = SIZE // 10, SIZE // 5
    tiles = frames.reshape(-1, 10, height, 5, width, 3)
    corners = tiles[:, :, 0, :, 0]
    assert (tiles == corners[:, :, None, :, None]).all()
    return (corners == PALETTE[kind]).all(-1)


def aim(frames: np.ndarray) -> np.ndarray:
    """Moves the paddle towards the ball."""
    ball, paddle = (cells(frames, kind).any(1).argmax(1) for kind in (BALL, PADDLE))
    return STAY + np.sign(ball - paddle)


def test_one_ball_falls_onto_one_paddle():
    env = Catch(num_envs=8, seed=0, size=SIZE)
    frames = env.reset()
    start = cells(frames, BALL)
    for row in range(EPISODE):
        ball, paddle = cells(frames, BALL), cells(frames, PADDLE)
        np.testing.assert_array_equal(ball, np.roll(start, row, axis=1))
        assert (ball.sum((1, 2)) == 1).all()
        assert (paddle[:, -1].sum(1) == 1).all() and not paddle[:, :-1].any()
        transition = env.step(np.full(8, STAY))
        frames = transition.obs
    assert transition.game_over.all()
    landed = cells(transition.final_obs, PADDLE)[:, -1].sum(1)
    np.testing.assert_array_equal(landed, np.where(transition.reward > 0, 1, 2))
    assert set(landed) == {1, 2}


@pytest.mark.parametrize(("action", "column"), [(LEFT, 0), (STAY, 2), (RIGHT, 4)])
def test_actions_move_the_paddle_up_to_the_wall(action, column):
    env = Catch(num_envs=2, seed=0, size=SIZE)
    frames = env.reset()
    for _ in range(4):
        frames = env.step(np.full(2, action)).obs
    assert cells(frames, PADDLE)[:, -1, column].all()


def test_aiming_always_catches_and_the_reward_comes_with_the_end():
    env = Catch(num_envs=16, seed=1, size=SIZE)
    frames = env.reset()
    for step in range(1, 10 * EPISODE + 1):
        transition = env.step(aim(frames))
        frames = transition.obs
        over = step % EPISODE == 0
        assert (transition.reward == over).all()
        assert (transition.end == over).all() and (transition.game_over == over).all()
        assert not transition.truncation.any()
        assert cells(frames, BALL)[:, 0].any(1).all() == over
        assert (transition.obs == transition.final_obs).all() != over


def test_random_play_scores_minus_061():
    env = Catch(num_envs=200, seed=2, size=20)
    env.reset()
    rng = np.random.default_rng(0)
    rewards = [env.step(rng.integers(3, size=200)).reward for _ in range(20 * EPISODE)]
    assert np.sum(rewards) / (200 * 20) == pytest.approx(-0.61, abs=0.05)


def test_same_seed_same_frames():
    def frames(seed: int) -> np.ndarray:
        env = Catch(num_envs=4, seed=seed, size=20)
        return np.stack([env.reset(), *(env.step(np.full(4, STAY)).obs for _ in range(3 * EPISODE))])

    np.testing.assert_array_equal(frames(3), frames(3))
    assert (frames(3) != frames(4)).any()


@pytest.mark.parametrize(("size", "nearest"), [(0, "20"), (10, "20"), (25, "20 or 30"), (64, "60 or 70")])
def test_size_must_fit_the_board(size: int, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"multiple of 10 and at least 20, got {size}: take {nearest}$"):
        Catch(num_envs=1, seed=0, size=size)


def test_make_env_knows_catch():
    settings = dataclasses.replace(pour(get_config()).env, size=SIZE)
    env = make_env(settings, 2, 0, lives_end=True)
    assert isinstance(env, Catch)
    assert env.num_actions == 3
    assert env.reset().shape == (2, *env.frame_shape) == (2, SIZE, SIZE, 3)
