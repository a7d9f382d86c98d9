"""The actor-critic's loss over a stored trajectory: one differentiated pass, all frames encoded in one batch."""

import chex
import jax
import jax.numpy as jnp

from edeline_jax.actor_critic.lambda_returns import lambda_returns
from edeline_jax.actor_critic.network import ActorCritic, burn_in
from edeline_jax.actor_critic.rollout import Trajectory
from edeline_jax.config.schema import ActorCriticLossConfig
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.params import Params


def actor_critic_loss(
    params: Params,
    network: ActorCritic,
    trajectory: Trajectory,
    lstm: LSTMState,
    config: ActorCriticLossConfig,
    clip: str = "sign",
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """REINFORCE with a lambda-return baseline, value regression, entropy bonus (EDELINE, section 3.4).

    Args:
      params: of `network`; the trajectory must have been sampled with them.
      trajectory: T steps of B environments.
      lstm: the LSTM state at the trajectory's start; no gradient flows into it.
      clip: how the rewards count, see `clipped`.

    Returns:
      The loss [] and metrics, means over this device's T x B steps.
    """
    T, B = trajectory.actions.shape
    chex.assert_tree_shape_prefix(trajectory, (T, B))
    chex.assert_tree_shape_prefix(lstm, (B,))
    logits, values = _replay(params, network, trajectory, lstm)
    experience = trajectory.rewards, trajectory.ends, trajectory.truncations, trajectory.bootstraps
    returns = lambda_returns(*experience, config.gamma, config.lambda_, clip)
    log_pi = jax.nn.log_softmax(logits)
    log_pi_action = jnp.take_along_axis(log_pi, trajectory.actions[..., None], -1)[..., 0]
    entropy = -(jnp.exp(log_pi) * log_pi).sum(-1).mean()
    loss_actions = -(log_pi_action * jax.lax.stop_gradient(returns - values)).mean()
    loss_values = config.weight_value_loss * jnp.square(values - returns).mean()
    loss_entropy = -config.weight_entropy_loss * entropy
    loss = loss_actions + loss_values + loss_entropy
    return loss, {
        "policy_entropy": entropy / jnp.log(2.0),
        "loss_actions": loss_actions,
        "loss_entropy": loss_entropy,
        "loss_values": loss_values,
        "loss_total": loss,
        "returns": returns.mean(),
    }


def _replay(
    params: Params, network: ActorCritic, trajectory: Trajectory, lstm: LSTMState
) -> tuple[jax.Array, jax.Array]:
    """Logits [T, B, A] and values [T, B] of a trajectory, with gradients, also through the burn-ins at restarts."""
    T, B = trajectory.actions.shape
    obs = jax.tree.map(lambda x: x.reshape(T * B, *x.shape[2:]), trajectory.obs)
    features = network.apply(params, obs, method="encode").reshape(T, B, -1)
    fresh = _burn_ins(params, network, trajectory)

    def step(lstm: LSTMState, inputs: tuple) -> tuple[LSTMState, tuple[jax.Array, jax.Array]]:
        features, dead, fresh = inputs
        logits, value, lstm = network.apply(params, features, lstm, method="recur")
        lstm = jax.tree.map(lambda new, old: jnp.where(dead[:, None], new, old), fresh, lstm)
        return lstm, (logits, value)

    return jax.lax.scan(step, lstm, (features, trajectory.dead, fresh))[1]


def _burn_ins(params: Params, network: ActorCritic, trajectory: Trajectory) -> LSTMState:
    """The LSTM states [T, B, D] after the burn-ins of a trajectory; only those at its `dead` steps are used.

    If the horizon is as long as the rollout, every environment restarts about once. So the usual case computes one
    small batch with room for two restarts per environment; with more restarts all T x B are computed. Gradients end
    where the older frames of a long burn-in begin, as in R2D2 (Kapturowski et al., 2019, section 3).
    """
    T, B = trajectory.dead.shape
    inputs = trajectory.burn_in, trajectory.burn_in_mask, trajectory.burn_in_state
    flat = jax.tree.map(lambda x: x.reshape(T * B, *x.shape[2:]), inputs)

    def few() -> LSTMState:
        (index,) = jnp.nonzero(trajectory.dead.ravel(), size=2 * B, fill_value=T * B)
        chosen = jax.tree.map(lambda x: x[jnp.minimum(index, T * B - 1)], flat)
        states = burn_in(params, network, *chosen)
        return jax.tree.map(lambda x: jnp.zeros((T * B, x.shape[-1])).at[index].set(x, mode="drop"), states)

    def all_steps() -> LSTMState:
        return burn_in(params, network, *flat)

    # recomputed in the backward pass, so that the branch not taken stores no activations
    states = jax.lax.cond(trajectory.dead.sum() <= 2 * B, jax.checkpoint(few), jax.checkpoint(all_steps))
    return jax.tree.map(lambda x: x.reshape(T, B, -1), states)
