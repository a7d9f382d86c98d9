"""Reward and termination heads over h."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.nn.layers import Linear

REWARD_SIGNS = 3  # classes of sign(r): -1, 0, 1
END_CLASSES = 2


class Head(nn.Module):
    """Linear, SiLU, Linear without bias; logits in float32."""

    classes: int

    @nn.compact
    def __call__(self, h: jax.Array) -> jax.Array:
        x = nn.silu(Linear(h.shape[-1], name="linear_0")(h))
        return Linear(self.classes, use_bias=False, name="linear_2")(x).astype(jnp.float32)


class RewEndModel(nn.Module):
    """h_t [..., D] -> logits of sign(r_t) [..., 3] and of d_t [..., 2], the reward and end that follow a_t in o_t."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = h.astype(self.dtype)
        return Head(REWARD_SIGNS, name="head_rew")(h), Head(END_CLASSES, name="head_end")(h)
