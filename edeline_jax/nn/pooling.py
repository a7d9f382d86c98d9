"""2x2 max-pooling that remembers which pixel won: one byte per window, instead of the input, for the backward pass."""

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

WINDOWS = (1, 2, 2, 1), (1, 2, 2, 1), "VALID"  # size, stride, padding


@jax.custom_vjp
def max_pool(x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H // 2, W // 2, C]; what does not fill a window is dropped.

    The gradient goes to the first largest pixel of a window, rows first, as in PyTorch.
    """
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *WINDOWS)


def _pool_with_winner(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The maxima, and the number (uint8, 0..3) of the pixel that each came from."""
    rows, columns = jnp.arange(x.shape[1]) % 2, jnp.arange(x.shape[2]) % 2
    number = jnp.broadcast_to((2 * rows[:, None] + columns).astype(jnp.uint8)[None, :, :, None], x.shape)

    def larger(a: tuple[jax.Array, jax.Array], b: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        first = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] < b[1]))
        return jnp.where(first, a[0], b[0]), jnp.where(first, a[1], b[1])

    lowest = (jnp.array(-jnp.inf, x.dtype), jnp.uint8(4))
    return jax.lax.reduce_window((x, number), lowest, larger, *WINDOWS)


def _forward(x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    y, winner = _pool_with_winner(x)
    return y, (checkpoint_name(winner, "pool_winner"), jnp.zeros((0, *x.shape[1:3]), x.dtype))


def _backward(saved: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array]:
    winner, (_, height, width) = saved[0], saved[1].shape
    B, rows, columns, C = dy.shape
    numbers = jnp.arange(4, dtype=jnp.uint8).reshape(2, 1, 2, 1)
    spread = jnp.where(winner[:, :, None, :, None] == numbers, dy[:, :, None, :, None], 0)
    dx = spread.reshape(B, 2 * rows, 2 * columns, C)
    return (jnp.pad(dx, ((0, 0), (0, height - 2 * rows), (0, width - 2 * columns), (0, 0))),)


max_pool.defvjp(_forward, _backward)
