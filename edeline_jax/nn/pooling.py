"""2x2 max-pooling that keeps the winning pixel's number, one byte per window, for the backward pass, not the input.

On TPUs XLA's own backward pass is faster, by their compiler's estimate, and is used instead; the numbers are then never
computed.
"""

import jax
import jax.numpy as jnp

WINDOWS = (1, 2, 2, 1), (1, 2, 2, 1), "VALID"  # size, stride, padding


@jax.custom_vjp
def max_pool(x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H // 2, W // 2, C]; an odd last row or column is dropped.

    The gradient goes to the first largest pixel of a window, in row-major order, as in PyTorch.
    """
    return _pool(x)[0]


def _forward(x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    largest, winner = _pool(x)
    return largest, (winner, x)


def _pool(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The windows' maxima, and the number (uint8, 0..3) of the pixel of each window that is its maximum."""
    return jax.lax.platform_dependent(x, cuda=_by_corners, default=_by_windows)


def _by_windows(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _plain_max_pool(x), _winners(x)


def _by_corners(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """From four strided slices: window reductions of bfloat16 go through float32 arrays on a GPU."""
    rows, columns = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    corners = [x[:, i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)]
    largest, winner = corners[0], jnp.zeros(corners[0].shape, jnp.uint8)
    for number, corner in enumerate(corners[1:], 1):
        winner = jnp.where(corner > largest, jnp.uint8(number), winner)
        largest = jnp.maximum(corner, largest)
    return largest, winner


def _plain_max_pool(x: jax.Array) -> jax.Array:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *WINDOWS)


def _backward(saved: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array]:
    winner, x = saved
    return (jax.lax.platform_dependent(winner, x, dy, tpu=_plain_gradient, default=_spread),)


max_pool.defvjp(_forward, _backward)


def _plain_gradient(winner: jax.Array, x: jax.Array, dy: jax.Array) -> jax.Array:
    del winner
    return jax.vjp(_plain_max_pool, x)[1](dy)[0]


def _winners(x: jax.Array) -> jax.Array:
    rows, columns = jnp.arange(x.shape[1]) % 2, jnp.arange(x.shape[2]) % 2
    number = jnp.broadcast_to((2 * rows[:, None] + columns[None]).astype(jnp.uint8)[None, :, :, None], x.shape)

    def larger(a: tuple[jax.Array, jax.Array], b: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        first = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] < b[1]))
        return jnp.where(first, a[0], b[0]), jnp.where(first, a[1], b[1])

    lowest = (jnp.array(-jnp.inf, x.dtype), jnp.uint8(4))
    return jax.lax.reduce_window((x, number), lowest, larger, *WINDOWS)[1]


def _spread(winner: jax.Array, x: jax.Array, dy: jax.Array) -> jax.Array:
    """Puts dy [B, H // 2, W // 2, C] at the winning pixels of x [B, H, W, C]; only the shape of x is used."""
    (_, height, width, _), (B, rows, columns, C) = x.shape, dy.shape
    numbers = jnp.arange(4, dtype=jnp.uint8).reshape(1, 1, 2, 1, 2, 1)
    spread = jnp.where(winner[:, :, None, :, None] == numbers, dy[:, :, None, :, None], 0)
    dx = spread.reshape(B, 2 * rows, 2 * columns, C)
    return jnp.pad(dx, ((0, 0), (0, height - 2 * rows), (0, width - 2 * columns), (0, 0)))
