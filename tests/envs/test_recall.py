"""Recall on paper."""

import jax
import numpy as np
import pytest

from edeline_jax.config import pour
from edeline_jax.config.files import load
from edeline_jax.config.schema import EnvConfig
from edeline_jax.envs import check_env, figures, make_env, measures
from edeline_jax.envs.recall import BORDER, COLOURS, FAR, FLOOR, WALKER, Recall
from edeline_jax.runtime.errors import ConfigError

N = 64


def settings(**changes: object) -> EnvConfig:
    return EnvConfig(**(load("recall:recall_16").env.to_dict() | changes))


def picture(position: int, delay: int, cue: int, size: int = 8) -> np.ndarray:
    """The frame after so many steps."""
    frame = np.zeros((size, size, 3), np.uint8)
    if position < delay:
        frame[:] = FLOOR if position else COLOURS[cue]
        frame.reshape(-1, 3)[position - delay] = WALKER
    elif position == delay:
        frame[:, : size // 2], frame[:, size // 2 :] = COLOURS
    else:
        frame[:] = BORDER
        frame[2:-2, 2:-2] = COLOURS[cue]
    return frame


def test_games_are_those_on_paper() -> None:
    """Every frame, reward and end of 64 games, of which the first half chooses right, played side by side."""
    env = make_env(settings(), N, 0, lives_end=True)
    frames = env.reset()
    cues = np.array([COLOURS.index(tuple(frame[0][0])) for frame in frames.tolist()])
    assert 20 < cues.sum() < 44
    seen, steps, going = [frames], [], np.ones(N, bool)
    right = np.arange(N) < N // 2
    while going.any():
        step = env.step(np.where(right, cues, 1 - cues))
        seen.append(step.final_obs)
        steps.append(step._replace(measures=np.array(step.measures), obs=going.copy()))
        going &= ~step.game_over
    for i in range(N):
        own = [step for step in steps if step.obs[i]]
        delay = len(own) - 2
        assert 2 <= delay <= 16
        for position in range(len(own) + 1):
            np.testing.assert_array_equal(seen[position][i], picture(position, delay, cues[i]))
        rewards = [step.reward[i] for step in own]
        assert rewards == [0.0] * delay + [1.0 if right[i] else -1.0, 0.0]
        assert [bool(step.end[i]) for step in own] == [False] * (delay + 1) + [True]
        assert not any(step.truncation[i] for step in own)
        assert own[-1].measures[i].tolist() == [float(right[i])]
    assert measures("recall_16") == ("success",)
    assert figures("recall_16", np.array([[1.0], [0.0]])) == {"success": 0.5}


def test_a_near_gate_pays_by_the_cue_and_far_doors_by_the_choice() -> None:
    """256 games, side by side, of which the first half presses left all the time; seen and paid at the end.

    The trail tells the two apart from the first frame on.
    """
    env = make_env(settings(id="recall_far_32"), 256, 0, lives_end=True)
    frames, delays, going, found = env.reset(), np.zeros(256, int), np.ones(256, bool), [set(), set()]
    cues = frames[:, -1, -1, 2] > frames[:, -1, -1, 0]  # blue
    action = (np.arange(256) >= 128).astype(int)
    seen = []
    while going.any():
        seen.append(frames.reshape(256, -1, 3))
        step = env.step(action)
        paying = going & (step.reward != 0)
        is_far = delays >= 20
        earns = np.where(is_far, action == cues, cues)
        np.testing.assert_array_equal(step.reward[paying], np.where(earns, 1.0, -1.0)[paying])
        for far in (0, 1):
            found[far] |= set(delays[paying & (is_far == far)].tolist())
            ends = frames[paying & (is_far == far)]
            assert (ends == (picture(0, 0, 0) if far else np.uint8(BORDER))).all()
            for game in np.flatnonzero(paying & (is_far == far)):
                check_trail(np.array([frame[game] for frame in seen[:-1]]), int(cues[game]), WALKER if far else BORDER)
        going &= ~step.game_over
        frames, delays = step.obs, delays + 1
    near, far = found
    assert near == set(range(2, 20))
    assert far >= {20, 21, 22} and max(far) == 32


def check_trail(pixels: np.ndarray, cue: int, colour: tuple[int, int, int]) -> None:
    """Frames before the end of a corridor, uint8 [T, H·W, 3]: each has one more walked pixel, the last has all."""
    for left, frame in zip(range(len(pixels), 0, -1), pixels, strict=True):
        assert (frame[: N - left + 1] == np.uint8(colour)).all()
        assert (frame[N - left + 1 :] == np.uint8(COLOURS[cue] if left == len(pixels) else FLOOR)).all()


def test_delays_are_log_uniform_in_their_range() -> None:
    delays = np.asarray(jax.vmap(Recall(8, longest=64).reset)(jax.random.split(jax.random.key(0), 4_096))[1].delay)
    assert (delays.min(), delays.max()) == (2, 64)
    expected = np.diff(np.log([2, 4, 8, 16, 32, 65])) / np.log(65 / 2)
    found = np.histogram(delays, [2, 4, 8, 16, 32, 65])[0] / len(delays)
    np.testing.assert_allclose(found, expected, atol=0.03)
    fixed = jax.vmap(Recall(8, longest=5, shortest=5).reset)(jax.random.split(jax.random.key(0), 64))[1].delay
    assert (np.asarray(fixed) == 5).all()


def test_frames_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 4 in recall_16, got 3"):
        check_env(settings(size=3))
    with pytest.raises(ValueError, match="size must be at least 6 in recall_32, got 5"):
        check_env(settings(id="recall_32", size=5))
    for id, size in (("recall_16", 4), ("recall_32", 6), ("recall_64", 8), ("recall_far_32", 6), ("recall_far_64", 8)):
        check_env(settings(id=id, size=size))


def test_the_burn_in_is_as_long_as_the_corridor() -> None:
    names = ("recall_16", "recall_64,tiny", "recall_far_32")
    assert [load(f"recall:{name}").world_model_env.burn_in for name in names] == [16, 64, 32]


@pytest.mark.parametrize("name", ["recall_99", "recall_far", "recall"])
def test_an_unknown_corridor_is_refused_with_the_known(name: str) -> None:
    with pytest.raises(ConfigError, match=f"config.env: .*{name!r}.*recall_"):
        pour(load(f"recall:{name}").to_dict())


def test_segments_hold_the_nearest_doors_and_their_cue() -> None:
    loss = load("recall:recall_far_32").world_model.loss
    assert load("recall:recall_far_32").agent.denoiser.inner_model.num_steps_conditioning + loss.horizon > FAR
