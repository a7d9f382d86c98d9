"""World models that follow a rule, in place of the networks."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.config.schema import AgentConfig
from edeline_jax.replay.frame import to_float
from edeline_jax.replay.reward import HEADS, RewardHead
from edeline_jax.world_model.edm import conditioners

Rule = Callable[[jax.Array, jax.Array], jax.Array]  # (context [B, L, H, W, 3], h [B, 2]) -> next frame [B, H, W, 3]


class RuleModel(NamedTuple):
    """A world model without weights: the rule says the next frame.

    h is (the action, memory), the memory a sum over all steps so far: of actions, and of twice the number that the
    frame's red shows.
    """

    config: AgentConfig
    rule: Rule
    reward: RewardHead = HEADS["sign"]

    def init_memory(self, batch: int) -> jax.Array:
        return jnp.zeros(batch)

    def apply(self, params: dict, *inputs: Any, method: str) -> Any:
        return getattr(self, method)(*inputs)

    def embed(self, frames: jax.Array, actions: jax.Array, memory: jax.Array) -> tuple[jax.Array, jax.Array]:
        memory = memory[:, None] + jnp.cumsum(actions + 2 * number(frames), 1)
        return jnp.stack([actions, memory], -1), memory[:, -1]

    def burn_in(
        self, frames: jax.Array, actions: jax.Array, mask: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        steps = actions + 2 * number(frames)
        memory = jnp.cumsum(steps if mask is None else jnp.where(mask, steps, 0), 1)[:, :-1]
        return jnp.stack([actions[:, :-1], memory], -1), memory[:, -1]

    def see(self, memory: jax.Array, frame: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        memory += action + 2 * number(frame)
        return jnp.stack([action, memory], -1), memory

    def outcome(
        self, memory: jax.Array, h: jax.Array, frame: jax.Array, action: jax.Array, next_frame: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        return *self.outcome_logits(h), memory

    def outcome_logits(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Undecided."""
        return jnp.zeros((*h.shape[:-1], 3)), jnp.zeros((*h.shape[:-1], 2))

    def denoise(
        self, context: jax.Array, noisy: jax.Array, sigma: jax.Array, h: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        c, denoised = self.config.denoiser, self.rule(context, h)
        scale = conditioners(sigma[:, None, None, None], c.sigma_data, c.sigma_offset_noise)
        # quantising cuts off what is less than a level
        return (denoised - scale.c_skip * noisy) / scale.c_out, denoised + 1 / 255


def number(frames: jax.Array) -> jax.Array:
    """The number whose grey level a frame's red has, [...]; 0 in padding."""
    return jnp.round(((frames[..., 0, 0, 0] + 1) * 255 / 2 - 20) / 100).clip(0, 2) * (frames[..., 0, 0, 0] != 0)


def level(n: np.ndarray) -> np.ndarray:
    """The grey level of a number 0, 1, 2."""
    return 20 + 100 * n


def repeat_newest(context: jax.Array, h: jax.Array) -> jax.Array:
    """Nothing ever moves."""
    return context[:, -1]


def show_action(context: jax.Array, h: jax.Array) -> jax.Array:
    """The grey level of the latest action."""
    return jnp.broadcast_to(to_float(level(h[:, 0]))[:, None, None, None], context[:, -1].shape)


def show_everything(context: jax.Array, h: jax.Array) -> jax.Array:
    """Red is the latest action, green the memory, blue the red of the oldest frame of the context."""
    colours = jnp.stack([to_float(level(h[:, 0])), to_float(h[:, 1] % 256), context[:, 0, 0, 0, 0]], -1)
    return jnp.broadcast_to(colours[:, None, None], context[:, -1].shape)
