"""Reward and termination heads over h."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.nn.initializers import zeros
from edeline_jax.nn.layers import Linear
from edeline_jax.replay.reward import RewardHead

END_CLASSES = 2


class Head(nn.Module):
    """Linear, SiLU, Linear without bias; logits in float32."""

    classes: int
    starts_at_zero: bool = False

    @nn.compact
    def __call__(self, h: jax.Array) -> jax.Array:
        x = nn.silu(Linear(h.shape[-1], name="linear_0")(h))
        last = Linear(self.classes, use_bias=False, kernel_init=zeros if self.starts_at_zero else None, name="linear_2")
        return last(x).astype(jnp.float32)


class RewEndModel(nn.Module):
    """h_t [..., D] -> logits of r_t [..., classes] and of d_t [..., 2], the reward and end that follow a_t in o_t."""

    dtype: jnp.dtype
    reward: RewardHead

    @nn.compact
    def __call__(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = h.astype(self.dtype)
        head_rew = Head(self.reward.classes, self.reward.starts_at_zero, name="head_rew")
        return head_rew(h), Head(END_CLASSES, name="head_end")(h)
