"""The selective scan of Mamba and its causal convolution.

The scan (Gu & Dao 2023, section 3) has two interchangeable implementations.

Letters in shapes: B batch, T time, E inner channels, N state size.
"""

import functools
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp


def _associative(decay: jax.Array, drive: jax.Array) -> jax.Array:
    """All s_t = decay_t s_{t-1} + drive_t, s_{-1} = 0, over axis 1, in O(log T) parallel steps."""

    def combine(left: tuple[jax.Array, jax.Array], right: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return left[0] * right[0], right[0] * left[1] + right[1]

    return jax.lax.associative_scan(combine, (decay, drive), axis=1)[1]


def _sequential(decay: jax.Array, drive: jax.Array) -> jax.Array:
    """The same as `_associative`, one step after the other."""

    def step(s: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        s = inputs[0] * s + inputs[1]
        return s, s

    time_first = (decay.swapaxes(0, 1), drive.swapaxes(0, 1))
    return jax.lax.scan(step, jnp.zeros_like(drive[:, 0]), time_first)[1].swapaxes(0, 1)


CHUNK = 32  # steps of a long sequence that are scanned at once
SCANS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {"associative": _associative, "sequential": _sequential}


def selective_scan(
    x: jax.Array, delta: jax.Array, A: jax.Array, B: jax.Array, C: jax.Array, D: jax.Array, s: jax.Array, scan: str
) -> tuple[jax.Array, jax.Array]:
    """Runs `s_t = exp(delta_t A) s_{t-1} + (delta_t B_t) x_t`, `y_t = C_t . s_t + D x_t`.

    What gradients keep of a step is several times N as large as x. So more than `CHUNK` steps are scanned in chunks of
    equal length, whose states the backward pass computes again.

    Args:
      x, delta: float32 [B, T, E].
      A: [E, N], negative.
      B, C: [B, T, N].
      D: [E].
      s: the state before the first step, [B, E, N]; zeros at the start of a sequence.
      scan: a key of `SCANS`.

    Returns:
      y [B, T, E] and the state after the last step [B, E, N], float32.
    """
    (batch, T, E), N = x.shape, A.shape[-1]
    chex.assert_shape([delta, A, D, s], [(batch, T, E), (E, N), (E,), (batch, E, N)], custom_message="delta, A, D, s")
    chex.assert_shape([B, C], (batch, T, N), custom_message="B, C")
    num_chunks = -(-T // CHUNK)
    if num_chunks == 1:
        return _at_once(x, delta, A, B, C, D, s, scan)
    length = -(-T // num_chunks)

    def chunked(x: jax.Array) -> jax.Array:
        filled = jnp.pad(x, ((0, 0), (0, num_chunks * length - T), (0, 0)))  # steps of size 0, which change nothing
        return filled.reshape(batch, num_chunks, length, -1).swapaxes(0, 1)

    @functools.partial(jax.checkpoint, prevent_cse=False)  # a loop's steps are not merged anyway
    def chunk(s: jax.Array, inputs: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, delta, B, C = inputs
        y, s = _at_once(x, delta, A, B, C, D, s, scan)
        return s, y

    s, y = jax.lax.scan(chunk, s, [chunked(x) for x in (x, delta, B, C)])
    return y.swapaxes(0, 1).reshape(batch, num_chunks * length, E)[:, :T], s


def _at_once(
    x: jax.Array, delta: jax.Array, A: jax.Array, B: jax.Array, C: jax.Array, D: jax.Array, s: jax.Array, scan: str
) -> tuple[jax.Array, jax.Array]:
    decay = jnp.exp(delta[..., None] * A[None, None])
    drive = (delta * x)[..., None] * B[:, :, None, :]
    drive = drive.at[:, 0].add(decay[:, 0] * s)
    states = SCANS[scan](decay, drive)
    return jnp.einsum("bten,btn->bte", states, C) + D[None, None] * x, states[:, -1]


def causal_convolution(
    x: jax.Array, history: jax.Array, kernel: jax.Array, bias: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Depthwise convolution over time in which step t sees steps t - d_conv + 1 .. t.

    Args:
      x: [B, T, E].
      history: the d_conv - 1 inputs before the first step, [B, d_conv - 1, E].
      kernel: [d_conv, E], oldest step first.
      bias: [E].

    Returns:
      The result [B, T, E] and the history after the last step.
    """
    (B, T, E), width = x.shape, kernel.shape[0]
    shapes = [(B, width - 1, E), (width, E), (E,)]
    chex.assert_shape([history, kernel, bias], shapes, custom_message="history, kernel, bias")
    padded = jnp.concatenate([history, x], 1)
    y = sum(padded[:, k : k + T] * kernel[None, None, k] for k in range(width)) + bias[None, None]
    return y, padded[:, T:]
