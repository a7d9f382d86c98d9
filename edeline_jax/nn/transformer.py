"""A causal Transformer layer over a sliding window: `(x, cache, mask) -> (y, cache)`, any number of steps at once."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.nn.initializers import zeros
from edeline_jax.nn.layers import Linear, RMSNorm
from edeline_jax.nn.params import param


class TransformerCache(NamedTuple):
    """What one layer keeps of the last window - 1 steps, oldest first; float32.

    k, v: keys and values, [B, window - 1, D].
    there: 1 for a step of the sequence, 0 before it began, [B, window - 1].
    """

    k: jax.Array
    v: jax.Array
    there: jax.Array


def init_cache(window: int, d_model: int, batch: int) -> TransformerCache:
    """The cache of one layer at the start of a sequence, all zeros."""
    past = jnp.zeros((batch, window - 1, d_model))
    return TransformerCache(past, past, jnp.zeros((batch, window - 1)))


class CausalAttention(nn.Module):
    """Multi-head attention of every step to itself and the window - 1 before it.

    A learned bias per head and distance says which step is which (Raffel et al. 2020), so nobody counts steps.
    """

    window: int

    @nn.compact
    def __call__(
        self, x: jax.Array, cache: TransformerCache, mask: jax.Array | None
    ) -> tuple[jax.Array, TransformerCache]:
        (B, T, D), W = x.shape, self.window
        heads = max(1, D // 32)
        q, k, v = jnp.split(Linear(3 * D, use_bias=False, name="qkv_proj")(x).astype(jnp.float32), 3, axis=-1)
        there = jnp.ones((B, T)) if mask is None else mask.astype(jnp.float32)
        new = TransformerCache(k * there[..., None], v * there[..., None], there)
        k, v, there = keys = jax.tree.map(lambda old, new: jnp.concatenate([old, new], 1), cache, new)
        distance = np.arange(W - 1, W - 1 + T)[:, None] - np.arange(W - 1 + T)[None]
        bias = param(self, "distance_bias", zeros, (heads, W))[:, distance.clip(0, W - 1)]
        in_window, itself = (distance >= 0) & (distance < W), distance == 0
        seen = in_window[None] & ((there[:, None] > 0) | itself[None])  # a softmax of nothing would be NaN
        q, k, v = (y.reshape(B, -1, heads, D // heads) for y in (q, k, v))
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / jnp.sqrt(D // heads) + bias[None]
        weights = jax.nn.softmax(jnp.where(seen[:, None], scores, -jnp.inf))
        y = jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(B, T, D).astype(x.dtype)
        cache = jax.tree.map(lambda x: x[:, T:], keys)
        return Linear(D, use_bias=False, name="out_proj")(y), cache


class TransformerLayer(nn.Module):
    """`x + attention(norm(x))`, then `x + mlp(norm(x))` with expand_factor * D units between."""

    window: int
    expand_factor: int

    @nn.compact
    def __call__(
        self, x: jax.Array, cache: TransformerCache, mask: jax.Array | None
    ) -> tuple[jax.Array, TransformerCache]:
        D = x.shape[-1]
        y, cache = CausalAttention(self.window, name="attention")(RMSNorm(name="norm")(x), cache, mask)
        x = x + y
        y = nn.silu(Linear(self.expand_factor * D, use_bias=False, name="mlp_in")(RMSNorm(name="norm_mlp")(x)))
        return x + Linear(D, use_bias=False, name="mlp_out")(y), cache
