import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.nn.pooling import max_pool


def by_hand(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Window by window: the maximum, and dy at the first place where it stands."""
    y, dx = np.zeros_like(dy), np.zeros_like(x)
    for b, i, j, c in np.ndindex(dy.shape):
        window = x[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        y[b, i, j, c] = window.max()
        row, column = np.unravel_index(window.argmax(), (2, 2))
        dx[b, 2 * i + row, 2 * j + column, c] = dy[b, i, j, c]
    return y, dx


@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (1, 7, 5, 2)], ids=["even", "odd"])
def test_gradient_goes_to_the_first_largest_pixel(form: str, shape: tuple[int, ...]) -> None:
    """Few different values, so that most windows hold their maximum more than once."""
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, shape).astype(np.float32)
    dy = rng.normal(size=(shape[0], shape[1] // 2, shape[2] // 2, shape[3])).astype(np.float32)
    y, pull = jax.vjp(max_pool, x)
    expected_y, expected_dx = by_hand(x, dy)
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(max_pool(x), expected_y)
    np.testing.assert_array_equal(pull(dy)[0], expected_dx)


def test_bfloat16_keeps_its_dtype_and_pixels(form: str) -> None:
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 2)).astype(jnp.bfloat16)
    y, pull = jax.vjp(max_pool, x)
    (dx,) = pull(jnp.ones_like(y))
    assert y.dtype == dx.dtype == jnp.bfloat16
    winners = (x * dx).reshape(1, 2, 2, 2, 2, 2).sum((2, 4))  # one pixel per window is not zero
    np.testing.assert_array_equal(winners.astype(jnp.float32), y.astype(jnp.float32))
