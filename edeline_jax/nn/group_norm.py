"""Group norm: the function, its gradient written out, and the sums over pixels in the form that suits the backend.

The norms are bound by memory, so each direction reads its inputs twice and writes nothing else of their size: mean and
variance come from one pass around a pivot, and the gradient needs two sums (Wu & He 2018; the gradient is that of
batch norm with other axes).

Letters in shapes: B batch, H height, W width, C channels.
"""

import jax
import jax.numpy as jnp

from edeline_jax.nn.restart import largest_divisor

EPS = 1e-5
STRIPS = 16  # parts of an image that a GPU sums apart: one per image would leave most of its processors idle
PIXELS_PER_STRIP = 64  # at least

Saved = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]


@jax.custom_vjp
def group_normalize(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """Normalises [B, H, W, C] over pixels and channels in each of max(1, C // 32) groups, then scales and shifts.

    Float32 inside; scale and shift are [1 or B, 1, 1, C]; the result has x's dtype.
    """
    return _forward(x, scale, shift)[0]


def _forward(x: jax.Array, scale: jax.Array, shift: jax.Array) -> tuple[jax.Array, Saved]:
    mean, rstd = moments(x)
    y = (x.astype(jnp.float32) - _wide(mean)) * (_wide(rstd) * scale) + shift
    return y.astype(x.dtype), (x, scale, shift, mean, rstd)


def _backward(saved: Saved, dy: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, scale, shift, mean, rstd = saved
    mean, rstd, dy32 = _wide(mean), _wide(rstd), dy.astype(jnp.float32)
    normal = (x.astype(jnp.float32) - mean) * rstd
    first, second = channel_means(dy32, dy32 * normal)
    gain = jnp.broadcast_to(scale, (len(x), 1, 1, x.shape[-1]))[:, 0, 0]
    along_one, along_normal = _wide(group_mean(gain * first)), _wide(group_mean(gain * second))
    dx = rstd * (dy32 * scale - along_one - normal * along_normal)
    pixels = x.shape[1] * x.shape[2]
    return dx.astype(x.dtype), _summed_like(scale, second * pixels), _summed_like(shift, first * pixels)


group_normalize.defvjp(_forward, _backward)


def moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each channel's mean and reciprocal standard deviation, those of its group in float32: [B, C] and [B, C].

    The pivot (the first pixel) changes no result and keeps large means from cancelling.
    """
    pivot = x[:, :1, :1].astype(jnp.float32)
    centred = x.astype(jnp.float32) - pivot
    first, second = channel_means(centred, jnp.square(centred))
    channel_mean = first + pivot[:, 0, 0]
    mean = group_mean(channel_mean)
    variance = group_mean(second - jnp.square(first) + jnp.square(channel_mean - mean))
    return mean, jax.lax.rsqrt(variance + EPS)


def channel_means(*arrays: jax.Array) -> list[jax.Array]:
    """Means over the pixels, [B, H, W, C] -> [B, C] each."""
    return jax.lax.platform_dependent(*arrays, cuda=_means_in_strips, default=_means)


def _means(*arrays: jax.Array) -> list[jax.Array]:
    return [x.mean((1, 2)) for x in arrays]


def _means_in_strips(*arrays: jax.Array) -> list[jax.Array]:
    B, H, W, C = arrays[0].shape
    strips = largest_divisor(H * W, min(STRIPS, H * W / PIXELS_PER_STRIP))
    return [x.reshape(B, strips, -1, C).mean(2).mean(1) for x in arrays]


def group_mean(x: jax.Array) -> jax.Array:
    """[B, C] -> each channel's mean over its group, [B, C]."""
    return jax.lax.platform_dependent(x, cuda=_mean_by_reshape, default=_mean_by_product)


def _mean_by_reshape(x: jax.Array) -> jax.Array:
    B, C = x.shape
    groups = x.reshape(B, max(1, C // 32), -1)
    return jnp.broadcast_to(groups.mean(-1, keepdims=True), groups.shape).reshape(B, C)


def _mean_by_product(x: jax.Array) -> jax.Array:
    """A small matrix product, because on CPUs code that reads a reshaped [B, groups] per pixel does not vectorise."""
    C = x.shape[-1]
    groups = max(1, C // 32)
    same_group = jnp.kron(jnp.eye(groups), jnp.full((C // groups, C // groups), groups / C))
    return jnp.dot(x, same_group, precision=jax.lax.Precision.HIGHEST)


def _wide(x: jax.Array) -> jax.Array:
    """[B, C] -> [B, 1, 1, C]."""
    return x[:, None, None]


def _summed_like(parameter: jax.Array, per_sample: jax.Array) -> jax.Array:
    """The gradient of a parameter [1 or B, 1, 1, C] from that of each sample's use of it, [B, C]."""
    wide = _wide(per_sample)
    return (wide if parameter.shape == wide.shape else wide.sum(0, keepdims=True)).astype(parameter.dtype)
