"""Layers shared by every network.

Compute dtype follows the input: a layer casts its float32 parameters to its input's dtype, so precision is chosen
once, where a network casts its inputs. Norms, softmax and everything recurrent run in float32 and return their input's
dtype.

Letters in shapes: B batch, H height, W width, C channels, K size of a condition vector.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.nn.convolution import convolve
from edeline_jax.nn.group_norm import Parts, group_normalize
from edeline_jax.nn.initializers import (
    Initializer,
    conv_orthogonal,
    ones,
    standard_normal,
    uniform_fan_in,
    zeros,
)
from edeline_jax.nn.params import param
from edeline_jax.nn.pooling import max_pool


class Linear(nn.Module):
    """`x @ kernel + bias` with PyTorch's initial distributions; `kernel` is [in, out]."""

    features: int
    use_bias: bool = True
    kernel_init: Initializer | None = None
    bias_init: Initializer | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        default = uniform_fan_in(x.shape[-1])
        kernel = param(self, "kernel", self.kernel_init or default, (x.shape[-1], self.features))
        y = x @ kernel.astype(x.dtype)
        if self.use_bias:
            bias = param(self, "bias", self.bias_init or default, (self.features,)).astype(x.dtype)
            y += jnp.broadcast_to(bias, y.shape)
        return y


class Conv(nn.Module):
    """2-D convolution over [B, H, W, C].

    Padded by `size // 2` zeros on every side; `kernel` is [size, size, in, out].
    """

    features: int
    size: int = 3
    stride: int = 1
    kernel_init: Initializer | None = None
    bias_init: Initializer | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.features)
        default = uniform_fan_in(self.size**2 * x.shape[-1])
        kernel = param(self, "kernel", self.kernel_init or default, shape).astype(x.dtype)
        bias = param(self, "bias", self.bias_init or default, (self.features,)).astype(x.dtype)
        return convolve(x, kernel, self.stride) + bias[None, None, None]


class GroupNorm(nn.Module):
    """Group norm with a learned scale and bias per channel."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = param(self, "scale", ones, (x.shape[-1],))
        bias = param(self, "bias", zeros, (x.shape[-1],))
        return group_normalize((x,), scale[None, None, None], bias[None, None, None])


class AdaGroupNorm(nn.Module):
    """Group norm whose scale and shift are linear in a condition vector [B, K]; see `group_normalize` for parts."""

    @nn.compact
    def __call__(self, parts: Parts, cond: jax.Array) -> jax.Array:
        channels = sum(x.shape[-1] for x in parts)
        scale, shift = jnp.split(
            Linear(2 * channels, name="linear")(cond)[:, None, None, :].astype(jnp.float32), 2, axis=-1
        )
        return group_normalize(parts, 1 + scale, shift)


class RMSNorm(nn.Module):
    """`x / rms(x) * scale` over the last axis; float32 inside."""

    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = param(self, "scale", ones, (x.shape[-1],))
        x32 = x.astype(jnp.float32)
        normalized = x32 * jax.lax.rsqrt(jnp.square(x32).mean(-1, keepdims=True) + self.eps)
        return (normalized * jnp.broadcast_to(scale, x.shape)).astype(x.dtype)


class FourierFeatures(nn.Module):
    """Random Fourier features, [B] -> [B, K] in float32.

    cos and sin of 2 pi z w with a fixed w ~ N(0, 1), stored with the parameters but never trained.
    """

    features: int

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        weight = jax.lax.stop_gradient(param(self, "weight", standard_normal, (self.features // 2,)))
        angle = 2 * jnp.pi * z[:, None] * weight[None]
        return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], -1)


class SelfAttention(nn.Module):
    """Multi-head attention over pixels; the residual is the normalised input, as in the reference."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        B, H, W, C = x.shape
        heads = max(1, C // 8)
        x = GroupNorm(name="norm")(x)
        qkv = Conv(3 * C, 1, name="qkv_proj")(x).reshape(B, H * W, 3, heads, C // heads)
        q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k).astype(jnp.float32) / jnp.sqrt(C // heads)
        y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores).astype(x.dtype), v).reshape(B, H, W, C)
        return x + Conv(C, 1, kernel_init=zeros, bias_init=zeros, name="out_proj")(y)


class CrossAttention(nn.Module):
    """Attention of every pixel to one condition vector [B, K].

    With a single key the softmax is always 1, so queries and keys have no effect: the block adds `out(v(cond))` to the
    normalised input.
    """

    @nn.compact
    def __call__(self, x: jax.Array, cond: jax.Array) -> jax.Array:
        C = x.shape[-1]
        value = Linear(C, name="v_proj")(cond)
        out = Conv(C, 1, kernel_init=zeros, bias_init=zeros, name="out_proj")(value[:, None, None, :])
        return GroupNorm(name="norm")(x) + out


class ResBlock(nn.Module):
    """Two 3x3 convolutions after adaptive norms, a residual, and optionally attention.

    A skip from the way down follows the channels of x.

    attention: to the pixels, and before that to the condition too, unless `cross_attention` is off.
    """

    features: int
    attention: bool
    cross_attention: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, cond: jax.Array, skip: jax.Array | None = None) -> jax.Array:
        parts = (x,) if skip is None else (x, skip)
        x = jnp.concatenate(parts, -1)
        residual = x if x.shape[-1] == self.features else Conv(self.features, 1, name="proj")(x)
        h = Conv(self.features, name="conv1")(nn.silu(AdaGroupNorm(name="norm1")(parts, cond)))
        h = Conv(self.features, kernel_init=zeros, name="conv2")(nn.silu(AdaGroupNorm(name="norm2")((h,), cond)))
        h += residual
        if self.attention:
            h = CrossAttention(name="cross_attn")(h, cond) if self.cross_attention else h
            h = SelfAttention(name="attn")(h)
        return h


class SmallResBlock(nn.Module):
    """`skip(x) + conv(silu(norm(x)))`, then 2x2 max-pooling if `down`."""

    features: int
    down: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        skip = x if x.shape[-1] == self.features else Conv(self.features, 1, name="skip_projection")(x)
        y = skip + Conv(self.features, name="conv")(nn.silu(GroupNorm(name="norm")(x)))
        return max_pool(y) if self.down else y


class Downsample(nn.Module):
    """Halves the resolution with a strided 3x3 convolution."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return Conv(x.shape[-1], stride=2, kernel_init=conv_orthogonal, name="conv")(x)


class Upsample(nn.Module):
    """Doubles the resolution: each pixel twice in both directions, then a 3x3 convolution."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        B, H, W, C = x.shape
        doubled = jnp.broadcast_to(x[:, :, None, :, None, :], (B, H, 2, W, 2, C)).reshape(B, 2 * H, 2 * W, C)
        return Conv(C, name="conv")(doubled)


def look_up(table: jax.Array, index: jax.Array) -> jax.Array:
    """The rows `table[index]`, float32 [..., C] of [N, C], exactly.

    It is a product, whose gradient adds in a fixed order. That of an indexing is a scatter, which on a GPU adds in any
    order, so that no two runs would be alike.
    """
    one_hot = jax.nn.one_hot(index, len(table), dtype=table.dtype)
    return jnp.dot(one_hot, table, precision=jax.lax.Precision.HIGHEST)
