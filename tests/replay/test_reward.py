"""Real rewards in bins beside a direct implementation, in float64 and one value at a time."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.replay.reward import BINS, HEADS, clipped, mean, signs, two_hot

SIGN, TWO_HOT = HEADS["sign"], HEADS["twohot"]
CENTRES = [math.copysign(math.expm1(abs(x)), x) for x in (20 * i / 127 for i in range(-127, 128))]
VALUES = [0, 0.01, -0.05, 0.1, -0.1, 0.17, 1, -1, 2.5, 100, -31_337, 2e8, 1e30, -1e30]


def weights_of(reward: float) -> np.ndarray:
    """The two neighbours share the value by their distances to it."""
    weights = np.zeros(255)
    r = min(max(reward, CENTRES[0]), CENTRES[-1])
    above = next(i for i, centre in enumerate(CENTRES) if centre >= r)
    if CENTRES[above] == r:
        weights[above] = 1
    else:
        gap = CENTRES[above] - CENTRES[above - 1]
        weights[above] = (r - CENTRES[above - 1]) / gap
        weights[above - 1] = (CENTRES[above] - r) / gap
    return weights


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def some_logits(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (*shape, 255)).astype(np.float32)


def test_the_bins_are_even_in_symlog_from_minus_20_to_20() -> None:
    symlog = np.sign(BINS) * np.log1p(np.abs(BINS.astype(np.float64)))
    np.testing.assert_allclose(symlog, np.linspace(-20, 20, 255), atol=1e-5)
    np.testing.assert_array_equal(BINS, -BINS[::-1])


def test_a_value_is_shared_between_its_two_neighbours() -> None:
    got = two_hot(jnp.array(VALUES, jnp.float32).reshape(2, 7)).reshape(14, 255)
    for reward, weights in zip(VALUES, got, strict=True):
        np.testing.assert_allclose(weights, weights_of(reward), atol=3e-5, err_msg=reward)


def test_a_bins_own_value_and_what_lies_beyond_the_ends_have_one_bin() -> None:
    np.testing.assert_allclose(two_hot(jnp.asarray(BINS)), np.eye(255), atol=2e-5)
    beyond = two_hot(jnp.array([-3e38, -5e8, 5e8, 3e38, 0]))
    np.testing.assert_array_equal(beyond, np.eye(255)[[0, 0, 254, 254, 127]])


def test_there_and_back() -> None:
    """The mean of a value's weights is the value, whatever its size; that of two outcomes is their mean."""
    rewards = np.float32([0, *np.geomspace(1e-3, 4e8, 300)])
    for sign in (1, -1):
        np.testing.assert_allclose(mean(two_hot(jnp.asarray(sign * rewards))), sign * rewards, rtol=2e-5)
    coin = 0.3 * two_hot(jnp.array(1.0)) + 0.7 * two_hot(jnp.array(-0.1))
    assert mean(coin) == pytest.approx(0.3 - 0.07, rel=1e-4)


def test_loss_and_gradient_are_those_of_a_direct_implementation() -> None:
    rewards = jnp.array(VALUES, jnp.float32)
    logits = some_logits(len(VALUES))
    p, targets = softmax(logits.astype(np.float64)), np.stack([weights_of(r) for r in VALUES])
    losses, pull = jax.vjp(lambda logits: TWO_HOT.loss(logits, rewards), logits)
    np.testing.assert_allclose(losses, -(targets * np.log(p)).sum(1), rtol=1e-4)
    np.testing.assert_allclose(pull(jnp.ones(len(VALUES)))[0], p - targets, atol=3e-5)


def test_a_new_head_imagines_zero_and_a_trained_one_the_mean() -> None:
    assert (TWO_HOT.imagine(jnp.zeros((2, 3, 255)), None) == 0).all()
    logits = np.log(1e-12 + 0.3 * weights_of(2.5) + 0.7 * weights_of(-0.1)).astype(np.float32)
    assert TWO_HOT.imagine(jnp.asarray(logits), None) == pytest.approx(0.3 * 2.5 - 0.07, rel=1e-3)
    errors = TWO_HOT.errors(jnp.asarray(logits)[None], jnp.array([0.5]))
    assert errors["error_rew"] == pytest.approx([0.3 * 2.5 - 0.07 - 0.5], rel=2e-3)


def test_the_signs_of_values_are_those_of_their_bins() -> None:
    """0.1 is nearer to the first bin above 0, at 0.17, than to 0; 0.08 is not."""
    logits = some_logits(4, 2)
    p = softmax(logits.astype(np.float64))
    parts = np.stack([p[..., :127].sum(-1), p[..., 127], p[..., 128:].sum(-1)], -1)
    np.testing.assert_allclose(jax.nn.softmax(TWO_HOT.sign_logits(logits)), parts, rtol=1e-5)
    rewards = np.array([-7, -0.1, -0.08, 0, 0.08, 0.1, 1e9])
    np.testing.assert_array_equal(TWO_HOT.signs(rewards), [-1, -1, 0, 0, 0, 1, 1])
    sure = TWO_HOT.sign_logits(jnp.log(two_hot(jnp.asarray(rewards, jnp.float32)) + 1e-9))
    np.testing.assert_array_equal(sure.argmax(-1) - 1, TWO_HOT.signs(rewards))


def test_of_signs_nothing_else_is_learnt_or_imagined() -> None:
    rewards, logits = jnp.array([-0.01, 0, 7.0]), np.float32([[0.5, 1, -2]] * 3)
    p = softmax(logits[0].astype(np.float64))
    np.testing.assert_allclose(SIGN.loss(logits, rewards), -np.log(p), rtol=1e-5)
    np.testing.assert_array_equal(SIGN.sign_logits(logits), logits)
    noise = jnp.array([[0, 0, 0], [0.6, 0, 0], [0, 0, 3.5]])
    np.testing.assert_array_equal(SIGN.imagine(logits, noise), [0, -1, 1])
    shares = jnp.log(jnp.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]]))
    np.testing.assert_allclose(SIGN.expected(shares), [0.3, -0.6], rtol=1e-5)
    assert SIGN.errors(logits, rewards) == {}


def test_signs_of_arrays_on_host_and_device() -> None:
    for array in (np.array, jnp.array):
        np.testing.assert_array_equal(signs(array([-3, -0.001, 0, 0.001, 9])), [-1, -1, 0, 1, 1])
        np.testing.assert_array_equal(signs(array([-3, -0.001, 0, 0.001, 9]), 0.5), [-1, 0, 0, 0, 1])
    np.testing.assert_array_equal(clipped(jnp.array([-3, 0.1, 0]), "sign"), [-1, 1, 0])
    np.testing.assert_array_equal(clipped(jnp.array([-3, 0.5, 0]), "none"), [-3, 0.5, 0])
