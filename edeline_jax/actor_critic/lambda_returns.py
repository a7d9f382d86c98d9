"""Lambda-returns, the critic's targets."""

import chex
import jax
import jax.numpy as jnp

from edeline_jax.replay.reward import clipped


def lambda_returns(
    rewards: jax.Array,
    ends: jax.Array,
    truncations: jax.Array,
    bootstraps: jax.Array,
    gamma: float,
    lambda_: float,
    clip: str = "sign",
) -> jax.Array:
    """TD(lambda) targets (Sutton & Barto, eq. 12.18), cut at ends and truncations.

    R_t = clipped(r_t) + (1 - end_t) gamma [(1 - trunc_t) ((1 - lambda) V_{t+1} + lambda R_{t+1}) + trunc_t V_{t+1}],
    with R after the last step = V.

    Args:
      rewards, ends, truncations: [T, B].
      bootstraps: V_{t+1}, the value of the state that step t led to, [T, B].
      clip: see `clipped`.

    Returns:
      R, float32 [T, B].
    """

    chex.assert_rank(rewards, 2, custom_message="rewards")
    names = "rewards, ends, truncations, bootstraps"
    chex.assert_equal_shape([rewards, ends, truncations, bootstraps], custom_message=names)

    def step(following: jax.Array, inputs: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        reward, end, truncation, value = inputs
        mixed = jnp.where(truncation, value, (1 - lambda_) * value + lambda_ * following)
        following = reward + gamma * jnp.where(end, 0.0, mixed)
        return following, following

    inputs = (clipped(rewards, clip), ends.astype(bool), truncations.astype(bool), bootstraps)
    return jax.lax.scan(step, bootstraps[-1], inputs, reverse=True)[1]
