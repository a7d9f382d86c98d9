"""One step of a GRU (Cho et al. 2014), with PyTorch's gates and initial distributions."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.nn.initializers import uniform_fan_in
from edeline_jax.nn.params import param


class GRUCell(nn.Module):
    """`(x [B, F], hx) -> (hx in x's dtype, hx)`; gates in the order r, z, n; the state stays float32."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, hx: jax.Array) -> tuple[jax.Array, jax.Array]:
        D, init = self.features, uniform_fan_in(self.features)
        weight_ih = param(self, "weight_ih", init, (x.shape[-1], 3 * D)).astype(x.dtype)
        weight_hh = param(self, "weight_hh", init, (D, 3 * D)).astype(x.dtype)
        from_x = (x @ weight_ih).astype(jnp.float32) + param(self, "bias_ih", init, (3 * D,))[None]
        from_h = (hx.astype(x.dtype) @ weight_hh).astype(jnp.float32) + param(self, "bias_hh", init, (3 * D,))[None]
        (r_x, z_x, n_x), (r_h, z_h, n_h) = (jnp.split(gates, 3, axis=-1) for gates in (from_x, from_h))
        r, z = jax.nn.sigmoid(r_x + r_h), jax.nn.sigmoid(z_x + z_h)
        hx = (1 - z) * jnp.tanh(n_x + r * n_h) + z * hx
        return hx.astype(x.dtype), hx
