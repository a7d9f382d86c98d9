"""What is imagined over recorded actions, and the pixel error, by value: world models that follow a known rule."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.config import pour
from edeline_jax.replay.frame import to_float
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model.prediction import one_step_errors, predict_sequence
from tests.tiny_config import get_config
from tests.world_model.rules import Rule, RuleModel, level, repeat_newest, show_action, show_everything

CONFIG = pour(get_config())
L, B, SHAPE = CONFIG.context, 3, (4, 4, 3)


def recorded(T: int) -> tuple[np.ndarray, np.ndarray]:
    """Random frames, uint8 [B, T, H, W, 3], whose first red is the level of a number, and random actions [B, T]."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (B, T, *SHAPE), dtype=np.uint8)
    frames[:, :, 0, 0, 0] = level(rng.integers(0, 3, (B, T)))
    return frames, rng.integers(0, 3, (B, T)).astype(np.int32)


def segment(frames: np.ndarray, actions: np.ndarray) -> Segment:
    there = np.ones(actions.shape, bool)
    return Segment(
        to_float(jnp.asarray(frames)), jnp.asarray(actions), np.zeros(there.shape), ~there, jnp.asarray(there)
    )


@functools.cache
def imagined(rule: Rule, T: int) -> np.ndarray:
    """Levels 0..255 of the imagined frames, [B, T - L, H, W, 3]."""
    model, batch = RuleModel(CONFIG.agent, rule), segment(*recorded(T))
    frames = jax.jit(lambda batch, key: predict_sequence({}, model, batch, key, CONFIG.world_model_env))(
        batch, jax.random.key(0)
    )
    return (np.asarray(frames) + 1) * 255 / 2


def test_a_world_that_stands_still() -> None:
    frames, _ = recorded(L + 6)
    expected = np.broadcast_to(frames[:, L - 1 : L], (B, 6, *SHAPE))
    np.testing.assert_allclose(imagined(repeat_newest, L + 6), expected, atol=0.01)


def test_every_frame_follows_from_its_own_action() -> None:
    """The first one from the action in the last given frame; what was done in the last frame leads out of the film."""
    _, actions = recorded(L + 6)
    expected = np.broadcast_to(level(actions[:, L - 1 : -1])[..., None, None, None], (B, 6, *SHAPE))
    np.testing.assert_allclose(imagined(show_action, L + 6), expected, atol=0.01)


def test_memory_and_context_hold_every_step_once() -> None:
    """Real frames up to the L-th, then the model's own."""
    T = L + 6
    frames, actions = recorded(T)
    reds = (frames[:, :L, 0, 0, 0].astype(int) - 20) // 100
    for t in range(L, T):
        reds = np.concatenate([reds, actions[:, t - 1 : t]], 1)
    for t in range(L, T):
        memory = (actions[:, :t] + 2 * reds[:, :t]).sum(1)
        colours = np.stack([level(actions[:, t - 1]), memory, level(reds[:, t - L])], -1)
        expected = np.broadcast_to(colours[:, None, None], (B, *SHAPE))
        np.testing.assert_allclose(imagined(show_everything, T)[:, t - L], expected, atol=0.01)


@functools.cache
def error_program(rule: Rule) -> Callable:
    model = RuleModel(CONFIG.agent, rule)
    return jax.jit(lambda batch, key: one_step_errors({}, model, batch, key, CONFIG.world_model_env))


def errors(rule: Rule, frames: np.ndarray, actions: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    batch = segment(frames, actions)
    mask = np.concatenate([np.ones((len(mask), L), bool), mask[:, None]], 1)
    model = RuleModel(CONFIG.agent, rule)
    found = one_step_errors(
        {}, model, batch._replace(mask=jnp.asarray(mask)), jax.random.key(0), CONFIG.world_model_env
    )
    return float(found[0]), float(found[1])


def rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.square(a.astype(float) - b).mean()))


@pytest.mark.parametrize("rows", [[True] * B, [True, False, True], [False, False, True], [False] * B])
def test_pixel_errors_are_root_mean_squares_in_levels(rows: list[bool]) -> None:
    """Over all pixels of the rows that count; 0 where none does."""
    frames, actions = recorded(L + 1)
    counted = np.array(rows)
    still = rms(frames[counted, -1], frames[counted, -2]) if any(rows) else 0.0
    shown = rms(frames[counted, -1], level(actions[counted, -2])[:, None, None, None]) if any(rows) else 0.0
    assert errors(repeat_newest, frames, actions, counted) == pytest.approx((still, still), abs=0.01)
    assert errors(show_action, frames, actions, counted) == pytest.approx((shown, still), abs=0.01)


def test_a_model_that_knows_the_rule_makes_no_error() -> None:
    frames, actions = recorded(L + 1)
    frames[:, -1] = level(actions[:, -2])[:, None, None, None]
    model, baseline = errors(show_action, frames, actions, np.ones(B, bool))
    assert model < 0.01 and baseline == pytest.approx(rms(frames[:, -1], frames[:, -2]), abs=0.01) and baseline > 50
