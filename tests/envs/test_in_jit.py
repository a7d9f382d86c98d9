"""Worlds inside jit."""

import numpy as np
import pytest

from edeline_jax.envs.in_jit import InJit, step_all
from tests.envs.counting import LIMIT, Counting

GOAL, N = 20, 5


def numbers(frames: np.ndarray) -> list[int]:
    assert frames.dtype == np.uint8 and frames.shape == (N, 4, 4, 3)
    assert (frames == frames[:, :1, :1, :1]).all()
    return frames[:, 0, 0, 0].tolist()


def test_steps_ends_and_new_games_are_those_on_paper() -> None:
    env, rng = InJit(Counting(), N, seed=3), np.random.default_rng(0)
    assert (env.num_envs, env.num_actions, env.frame_shape) == (N, 5, (4, 4, 3))
    now, age, ended, cut, begun = numbers(env.reset()), [0] * N, 0, 0, []
    for _ in range(40):
        actions = rng.integers(0, 5, N)
        step = env.step(actions)
        after, age = [n + a for n, a in zip(now, actions.tolist(), strict=True)], [n + 1 for n in age]
        assert numbers(step.final_obs) == after
        assert step.reward.dtype == np.float32 and step.reward.tolist() == after
        assert step.end.tolist() == [n >= GOAL for n in after]
        assert step.truncation.tolist() == [n < GOAL and t == LIMIT for n, t in zip(after, age, strict=True)]
        assert step.game_over.tolist() == (step.end | step.truncation).tolist()
        assert np.array(step.measures).tolist() == [[n, t] for n, t in zip(after, age, strict=True)]
        now = numbers(step.obs)
        for i in range(N):
            if step.game_over[i]:
                assert now[i] < 4
                begun.append(now[i])
                age[i] = 0
            else:
                assert now[i] == after[i]
        ended, cut = ended + step.end.sum(), cut + step.truncation.sum()
    assert ended > 5 and cut > 5 and set(begun) == {0, 1, 2, 3}


def test_a_seed_says_everything_and_no_two_games_are_alike() -> None:
    def played(seed: int) -> tuple[list, np.ndarray]:
        env = InJit(Counting(), N, seed)
        firsts = [numbers(env.reset()) for _ in range(8)]
        env.step(np.ones(N, int))
        return firsts, np.asarray(env._state["noise"])

    (firsts, noise), (again, same_noise), (others, _) = played(7), played(7), played(8)
    assert firsts == again and (noise == same_noise).all() and firsts != others
    assert len({*map(tuple, firsts)}) > 4 and len({*map(tuple, noise.tolist())}) == N


def test_equal_worlds_compile_once() -> None:
    before = step_all._cache_size()
    for seed in range(2):
        env = InJit(Counting(size=4), 3, seed)
        env.reset()
        env.step(np.zeros(3, int))
        env.step(np.zeros(3, int))
    assert step_all._cache_size() == before + 1


def test_actions_that_are_none_are_refused() -> None:
    env = InJit(Counting(), N, 0)
    env.reset()
    with pytest.raises(ValueError, match=r"actions must be \[5\] in \[0, 5\)"):
        env.step(np.full(N, 5))


def test_one_that_was_never_reset_can_be_closed() -> None:
    """As when only the number of its actions is asked for."""
    InJit(Counting(), N, 0).close()
