"""Acts for T steps in an environment, real or imagined.

No gradients are taken here; the trajectory holds everything that the loss needs to differentiate it later.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.actor_critic.network import ActorCritic, burn_in
from edeline_jax.envs.observation import Observation
from edeline_jax.envs.outcome import Outcome
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.params import Params
from edeline_jax.nn.restart import replace_rows

EnvStep = Callable[[Any, jax.Array, Any], tuple[Any, Outcome]]  # (state, action [B], draws) -> (state, outcome)
Scan = Callable[[Callable, Any, Any], tuple[Any, Any]]


class RolloutState(NamedTuple):
    """The state carried from one rollout to the next.

    obs: the frames to act on [B, H, W, C]; see `Outcome`. lstm, env: the states of the LSTM and of the environment.
    """

    obs: jax.Array | Observation
    lstm: LSTMState
    env: Any


class PolicyDraws(NamedTuple):
    """The random numbers of T steps.

    action: Gumbel noise [T, B, A] for the actions. env: the environment's own draws, leaves [T, ...].
    """

    action: jax.Array
    env: Any


class Trajectory(NamedTuple):
    """T steps of B environments, time first.

    dead: the environment was restarted after the step.
    burn_in: the frames that the LSTM was burnt in on last after that restart, [T, B, K, H, W, C].
    burn_in_mask: those that count; see `Outcome`.
    burn_in_state: of the LSTM before those frames, without gradient; None: zeros.
    values: V of obs, without gradient.
    bootstraps: V of the frame that the step led to (the final frame if the episode was over), without gradient.
    """

    obs: jax.Array | Observation
    actions: jax.Array
    rewards: jax.Array
    ends: jax.Array
    truncations: jax.Array
    dead: jax.Array
    burn_in: jax.Array | Observation
    logits: jax.Array
    values: jax.Array
    bootstraps: jax.Array
    burn_in_mask: jax.Array | None = None
    burn_in_state: LSTMState | None = None


def rollout(
    params: Params,
    network: ActorCritic,
    env_step: EnvStep,
    state: RolloutState,
    draws: PolicyDraws,
    scan: Scan = jax.lax.scan,
) -> tuple[RolloutState, Trajectory]:
    """Samples actions from the policy for as many steps as there are draws.

    Args:
      params: of `network`.
      env_step: a pure step under `jax.lax.scan`; any step under `host_scan`.
      state: where the rollout begins.
      draws: see `PolicyDraws`.
      scan: `jax.lax.scan`, or `host_scan` for environments outside JAX.

    Returns:
      The state for the next rollout, and the trajectory.
    """

    T, B = draws.action.shape[:2]
    chex.assert_tree_shape_prefix(draws, (T,))
    chex.assert_tree_shape_prefix(state._replace(env=None), (B,))

    def step(state: RolloutState, draws: PolicyDraws) -> tuple[RolloutState, tuple]:
        logits, value, lstm, action = act(params, network, state.obs, state.lstm, draws.action)
        env, outcome = env_step(state.env, action, draws.env)
        lstm, dead, final_value, older = restart_ended(params, network, lstm, outcome)
        record = (
            state.obs,
            action,
            outcome.reward,
            outcome.end,
            outcome.truncation,
            dead,
            outcome.burn_in,
            logits,
            value,
        )
        return RolloutState(outcome.obs, lstm, env), (*record, final_value, outcome.burn_in_mask, older)

    state, record = scan(step, state, draws)
    trajectory = Trajectory(*record)
    last_value = act(params, network, state.obs, state.lstm, draws.action[0])[1]
    next_values = jnp.concatenate([trajectory.values[1:], last_value[None]])
    return state, trajectory._replace(bootstraps=jnp.where(trajectory.dead, trajectory.bootstraps, next_values))


def host_scan(step: Callable, state: Any, xs: Any) -> tuple[Any, Any]:
    """`jax.lax.scan` as a plain loop on the host."""
    outputs = []
    for t in range(len(jax.tree.leaves(xs)[0])):
        state, output = step(state, jax.tree.map(lambda x, t=t: x[t], xs))
        outputs.append(output)
    return state, jax.tree.map(lambda *leaves: np.stack(leaves), *outputs)


@jax.jit(static_argnums=1)
def act(
    params: Params, network: ActorCritic, obs: jax.Array | Observation, lstm: LSTMState, gumbel: jax.Array
) -> tuple[jax.Array, jax.Array, LSTMState, jax.Array]:
    """One forward pass of the policy and a sampled action.

    Returns logits, value, next LSTM state, and an action [B] sampled with Gumbel noise [B, A] (greedy if it is 0).
    """
    batch = len(jax.tree.leaves(obs)[0])
    chex.assert_shape(gumbel, (batch, network.num_actions), custom_message="gumbel")
    logits, value, lstm = network.apply(params, obs, lstm)
    return logits, value, lstm, jnp.argmax(logits + gumbel, -1)


@jax.jit(static_argnums=1)
def restart_ended(
    params: Params, network: ActorCritic, lstm: LSTMState, outcome: Outcome
) -> tuple[LSTMState, jax.Array, jax.Array, LSTMState | None]:
    """Burns in the LSTM of the environments that restarted in this step.

    Returns the next LSTM state, which environments restarted (bool [B]), the values of their final frames [B]
    (0 for the others), and the LSTM state before `outcome.burn_in` (None if nothing is older).
    """
    chex.assert_tree_shape_prefix((lstm, outcome._replace(older=None)), lstm.hx.shape[:1])
    dead = outcome.end | outcome.truncation

    def restart(index: jax.Array) -> tuple[LSTMState, jax.Array, LSTMState | None]:
        before, obs, mask = jax.tree.map(lambda x: x[index], (lstm, outcome.burn_in, outcome.burn_in_mask))
        final_obs = jax.tree.map(lambda x: x[index], outcome.final_obs)
        final_value = network.apply(params, final_obs, before)[1]
        older = None
        if outcome.older is not None:
            steps = outcome.older(index)
            older = burn_in(params, network, steps.frames, steps.mask)
        return burn_in(params, network, obs, mask, older), final_value, older

    old = lstm, jnp.zeros(dead.shape), None if outcome.older is None else lstm
    lstm, final_values, older = replace_rows(dead, restart, old)
    return lstm, dead, final_values, older
