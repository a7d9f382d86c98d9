"""One step of an LSTM."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.nn.initializers import lstm_bias, orthogonal, xavier_uniform, zeros
from edeline_jax.nn.params import param


class LSTMState(NamedTuple):
    """Hidden and cell state, float32 [B, D] each."""

    hx: jax.Array
    cx: jax.Array


class LSTMCell(nn.Module):
    """`(x [B, F], state) -> (hx in x's dtype, state)`; gates in the order i, f, g, o; the state stays float32."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, state: LSTMState) -> tuple[jax.Array, LSTMState]:
        D = self.features
        weight_ih = param(self, "weight_ih", xavier_uniform, (x.shape[-1], 4 * D)).astype(x.dtype)
        weight_hh = param(self, "weight_hh", orthogonal, (D, 4 * D)).astype(x.dtype)
        bias = param(self, "bias_ih", lstm_bias, (4 * D,)) + param(self, "bias_hh", zeros, (4 * D,))
        gates = (x @ weight_ih + state.hx.astype(x.dtype) @ weight_hh).astype(jnp.float32) + bias[None]
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        cx = jax.nn.sigmoid(f) * state.cx + jax.nn.sigmoid(i) * jnp.tanh(g)
        hx = jax.nn.sigmoid(o) * jnp.tanh(cx)
        return hx.astype(x.dtype), LSTMState(hx, cx)
