"""Group norm: the function, its gradient written out, and the sums over pixels in the form that suits the backend.

The norms are bound by memory, so each direction reads its inputs twice and writes nothing else of their size: mean and
variance come from one pass around a pivot, and the gradient needs two sums (Wu & He 2018; the gradient is that of
batch norm with other axes).

Letters in shapes: B batch, H height, W width, C channels, S strips of an image.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from edeline_jax.nn.restart import largest_divisor

EPS = 1e-5
STRIPS = 16  # parts of an image that are summed apart: one per image would leave most of a GPU's processors idle
PIXELS_PER_STRIP = 256  # at least

Parts = tuple[jax.Array, ...]  # arrays [B, H, W, C of each] whose channels follow one another
Saved = tuple[Parts, jax.Array, jax.Array, jax.Array, jax.Array]


@jax.custom_vjp
def group_normalize(parts: Parts, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """Normalises over pixels and channels in each of max(1, C // 32) groups, then scales and shifts.

    Args:
      parts: C channels in all. They are given apart so that nothing is concatenated for the sums, and the sums of an
        array that is also normalised elsewhere are computed once.
      scale, shift: float32 [1 or B, 1, 1, C].

    Returns:
      [B, H, W, C] in the parts' dtype; float32 inside.
    """
    return _forward(parts, scale, shift)[0]


def _forward(parts: Parts, scale: jax.Array, shift: jax.Array) -> tuple[jax.Array, Saved]:
    mean, rstd = moments(parts)
    x = jnp.concatenate(parts, -1)
    gain = _wide(rstd) * scale
    y = x.astype(jnp.float32) * gain + (shift - _wide(mean) * gain)
    return y.astype(x.dtype), (parts, scale, shift, mean, rstd)


def _backward(saved: Saved, dy: jax.Array) -> tuple[Parts, jax.Array, jax.Array]:
    parts, scale, shift, mean, rstd = saved
    x32 = [x.astype(jnp.float32) for x in parts]
    dy32 = _like(parts, dy.astype(jnp.float32))
    at, by = _like(parts, _wide(mean)), _like(parts, _wide(rstd))
    normal = [(x - at) * by for x, at, by in zip(x32, at, by, strict=True)]
    gain = jnp.broadcast_to(scale, (len(dy), 1, 1, dy.shape[-1]))[:, 0, 0]
    first, second, along_one, along_normal = _by_backend(_gradient_means, dy32, normal, gain)
    # rstd (gain dy - along_one - along_normal normal), as one number per channel times dy and one times x
    slope = -jnp.square(rstd) * along_normal
    terms = (_like(parts, _wide(x)) for x in (rstd * gain, slope, -rstd * along_one - slope * mean))
    dx = [dy * a + x * b + c for dy, x, a, b, c in zip(dy32, x32, *terms, strict=True)]
    dx = tuple(x.astype(dy.dtype) for x in dx)
    pixels = dy.shape[1] * dy.shape[2]
    return dx, _summed_like(scale, second * pixels), _summed_like(shift, first * pixels)


group_normalize.defvjp(_forward, _backward)


class Means(NamedTuple):
    """How a backend takes means. The first two take any number of arrays and return as many, in a list.

    of_strips: over the pixels of each of S parts of the image, [B, H, W, C] -> [B, S, C].
    of_groups: over the strips and each channel's group, [B, S, C] -> [B, C].
    pivot: of one array, [B, H, W, C] -> float32 [B, C]: what is taken from each channel before the sums.
    """

    of_strips: Callable[..., list[jax.Array]]
    of_groups: Callable[..., list[jax.Array]]
    pivot: Callable[[jax.Array], jax.Array]


def _by_backend(function: Callable, *args: Any) -> Any:
    """`function(means, *args)` with the means of the backend."""
    on_gpu, on_tpu, elsewhere = (functools.partial(function, means) for means in (ON_GPU, ON_TPU, ELSEWHERE))
    return jax.lax.platform_dependent(*args, cuda=on_gpu, tpu=on_tpu, default=elsewhere)


def moments(parts: Parts) -> tuple[jax.Array, jax.Array]:
    """Each channel's mean and reciprocal standard deviation, those of its group in float32: [B, C] and [B, C]."""
    return _by_backend(_moments, parts)


def _moments(means: Means, parts: Parts) -> tuple[jax.Array, jax.Array]:
    """In one pass over the pixels.

    The pivot changes no result and keeps large means from cancelling.
    """
    pivots = [_wide(means.pivot(x)) for x in parts]
    centred = [x.astype(jnp.float32) - pivot for x, pivot in zip(parts, pivots, strict=True)]
    first, second = _strip_means(means, centred, map(jnp.square, centred))
    pivot = jnp.concatenate(pivots, -1)[:, 0]
    (centre,) = means.of_groups(pivot)
    offset = pivot - centre[:, None]
    # about the group's centre instead of each channel's pivot
    first, second = means.of_groups(first + offset, second + 2 * first * offset + jnp.square(offset))
    variance = jnp.maximum(second - jnp.square(first), 0)  # not less by rounding
    return centre + first, jax.lax.rsqrt(variance + EPS)


def _gradient_means(
    means: Means, dy: Sequence[jax.Array], normal: Sequence[jax.Array], gain: jax.Array
) -> tuple[jax.Array, ...]:
    """The means of dy and dy * normal over each channel's pixels, and times gain [B, C] over its group, [B, C]."""
    products = [dy * x for dy, x in zip(dy, normal, strict=True)]
    first, second = _strip_means(means, dy, products)
    return first.mean(1), second.mean(1), *means.of_groups(gain[:, None] * first, gain[:, None] * second)


def _strip_means(means: Means, *arrays: Iterable[jax.Array]) -> list[jax.Array]:
    """`of_strips` of arrays that are given in parts; an array at a time would take a GPU two passes instead of one."""
    parts = [means.of_strips(*part) for part in zip(*arrays, strict=True)]
    return [jnp.concatenate(array, -1) for array in zip(*parts, strict=True)]


def _first_pixel(x: jax.Array) -> jax.Array:
    return x[:, 0, 0].astype(jnp.float32)


def _first_pixel_of_float32(x: jax.Array) -> jax.Array:
    """Zeros in bfloat16, whose own rounding of large means is far worse.

    To read the pixel takes a GPU a kernel of its own, and a TPU a third of a denoiser call by its compiler's estimate.
    """
    first = _first_pixel(x)
    return jnp.zeros_like(first) if x.dtype == jnp.bfloat16 else first


def _like(parts: Parts, x: jax.Array) -> list[jax.Array]:
    """Cuts x [..., C] into pieces with the parts' channels."""
    ends = list(itertools.accumulate(part.shape[-1] for part in parts))
    return jnp.split(x, ends[:-1], axis=-1)


def _means(*arrays: jax.Array) -> list[jax.Array]:
    return [x.mean((1, 2))[:, None] for x in arrays]


def _means_of_strips(*arrays: jax.Array) -> list[jax.Array]:
    B, H, W, C = arrays[0].shape
    strips = largest_divisor(H * W, min(STRIPS, H * W / PIXELS_PER_STRIP))
    return [x.reshape(B, strips, -1, C).mean(2) for x in arrays]


def _means_by_reshape(*arrays: jax.Array) -> list[jax.Array]:
    """All arrays side by side, and the channels first: so one kernel reduces them, and the next adds the strips."""
    B, S, C = arrays[0].shape
    groups = jnp.stack(arrays).reshape(len(arrays), B, S, max(1, C // 32), -1)
    means = groups.mean(-1).mean(2)[..., None]
    return list(jnp.broadcast_to(means, (*means.shape[:-1], groups.shape[-1])).reshape(len(arrays), B, C))


def _means_by_product(*arrays: jax.Array) -> list[jax.Array]:
    """A small matrix product, because on CPUs code that reads a reshaped [B, groups] per pixel does not vectorise."""
    C = arrays[0].shape[-1]
    groups = max(1, C // 32)
    same_group = jnp.kron(jnp.eye(groups), jnp.full((C // groups, C // groups), groups / C))
    return [jnp.dot(x.mean(1), same_group, precision=jax.lax.Precision.HIGHEST) for x in arrays]


ON_GPU = Means(_means_of_strips, _means_by_reshape, _first_pixel_of_float32)
ON_TPU = Means(_means_of_strips, _means_by_product, _first_pixel_of_float32)
ELSEWHERE = Means(_means, _means_by_product, _first_pixel)


def _wide(x: jax.Array) -> jax.Array:
    """[B, C] -> [B, 1, 1, C]."""
    return x[:, None, None]


def _summed_like(parameter: jax.Array, per_sample: jax.Array) -> jax.Array:
    """The gradient of a parameter [1 or B, 1, 1, C] from that of each sample's use of it, [B, C]."""
    wide = _wide(per_sample)
    return (wide if parameter.shape == wide.shape else wide.sum(0, keepdims=True)).astype(parameter.dtype)
