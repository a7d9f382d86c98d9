"""A Mamba layer: `(x, cache, mask) -> (y, cache)`, any number of steps at once (Gu & Dao 2023)."""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.config.schema import MambaConfig
from edeline_jax.nn.initializers import (
    inverse_softplus_log_uniform,
    log_arange,
    ones,
    symmetric_uniform,
    uniform_fan_in,
)
from edeline_jax.nn.layers import Linear, RMSNorm
from edeline_jax.nn.params import param
from edeline_jax.nn.selective_scan import causal_convolution, selective_scan


class MambaCache(NamedTuple):
    """The recurrent state of one layer; float32.

    s: state of the scan, [B, E, N].
    conv: the last inputs of the convolution, oldest first, [B, d_conv - 1, E].
    """

    s: jax.Array
    conv: jax.Array


def init_cache(config: MambaConfig, batch: int) -> MambaCache:
    """The cache of one layer at the start of a sequence, all zeros."""
    E = config.expand_factor * config.d_model
    return MambaCache(jnp.zeros((batch, E, config.d_state)), jnp.zeros((batch, config.d_conv - 1, E)))


class Mixer(nn.Module):
    """The selective state space block between two projections."""

    config: MambaConfig

    @nn.compact
    def __call__(self, x: jax.Array, cache: MambaCache, mask: jax.Array | None) -> tuple[jax.Array, MambaCache]:
        c = self.config
        dtype = x.dtype
        E, N = c.expand_factor * c.d_model, c.d_state
        rank = math.ceil(c.d_model / 16)
        x, z = jnp.split(Linear(2 * E, use_bias=False, name="in_proj")(x), 2, axis=-1)

        kernel = param(self, "conv_kernel", uniform_fan_in(c.d_conv), (c.d_conv, E))
        bias = param(self, "conv_bias", uniform_fan_in(c.d_conv), (E,))
        x, conv = causal_convolution(_where(mask, x.astype(jnp.float32)), cache.conv, kernel, bias)
        x = nn.silu(x)

        projected = Linear(rank + 2 * N, use_bias=False, name="x_proj")(x.astype(dtype)).astype(jnp.float32)
        delta, B, C = jnp.split(projected, (rank, rank + N), axis=-1)
        dt_bias = inverse_softplus_log_uniform(1e-3, 1e-1)
        delta = Linear(E, kernel_init=symmetric_uniform(rank**-0.5), bias_init=dt_bias, name="dt_proj")(delta)
        A = -jnp.exp(param(self, "A_log", log_arange, (E, N)))
        D = param(self, "D", ones, (E,))
        delta = _where(mask, jax.nn.softplus(delta))  # a step of size 0 leaves the state as it is
        y, s = selective_scan(x, delta, A, B, C, D, cache.s, c.scan)
        return Linear(c.d_model, use_bias=False, name="out_proj")(y.astype(dtype) * nn.silu(z)), MambaCache(s, conv)


class MambaLayer(nn.Module):
    """`x + Mixer(RMSNorm(x))`."""

    config: MambaConfig

    @nn.compact
    def __call__(self, x: jax.Array, cache: MambaCache, mask: jax.Array | None) -> tuple[jax.Array, MambaCache]:
        y, cache = Mixer(self.config, name="mixer")(RMSNorm(name="norm")(x), cache, mask)
        return x + y, cache


def _where(mask: jax.Array | None, x: jax.Array) -> jax.Array:
    return x if mask is None else jnp.where(mask[..., None], x, 0.0)
