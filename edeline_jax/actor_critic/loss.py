"""The actor-critic's loss over a stored trajectory: one differentiated pass, encoder batched over all frames."""

import jax
import jax.numpy as jnp

from edeline_jax.actor_critic.lambda_returns import lambda_returns
from edeline_jax.actor_critic.network import ActorCritic, reset_where
from edeline_jax.actor_critic.rollout import Trajectory
from edeline_jax.config import ActorCriticLoss
from edeline_jax.nn.lstm import LSTMState


def actor_critic_loss(
    params: dict, network: ActorCritic, trajectory: Trajectory, lstm: LSTMState, config: ActorCriticLoss
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """REINFORCE with a lambda-return baseline, value regression, entropy bonus (EDELINE, section 3.4).

    Args:
      params: of `network`; those that the trajectory was sampled with.
      trajectory: T steps of B environments.
      lstm: the state in which the trajectory began; no gradient flows into it.

    Returns:
      The loss [] and metrics, means over this device's T x B steps.
    """
    logits, values = _replay(params, network, trajectory, lstm)
    returns = lambda_returns(
        trajectory.rewards, trajectory.ends, trajectory.truncs, trajectory.bootstraps, config.gamma, config.lambda_
    )
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
    params: dict, network: ActorCritic, trajectory: Trajectory, lstm: LSTMState
) -> tuple[jax.Array, jax.Array]:
    """Logits [T, B, A] and values [T, B] of a trajectory, with gradient, burn-ins at restarts included."""
    T, B = trajectory.actions.shape
    frames = trajectory.obs.reshape(T * B, *trajectory.obs.shape[2:])
    features = network.apply(params, frames, method="encode").reshape(T, B, -1)

    def step(lstm: LSTMState, inputs: tuple) -> tuple[LSTMState, tuple[jax.Array, jax.Array]]:
        features, dead, burn_in = inputs
        logits, value, lstm = network.apply(params, features, lstm, method="recur")
        return reset_where(params, network, dead, burn_in, lstm), (logits, value)

    return jax.lax.scan(step, lstm, (features, trajectory.dead, trajectory.burn_in))[1]
