"""Actions in real environments: drawn from the policy, its likeliest ones, or now and then uniformly random ones."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from edeline_jax.actor_critic.actor import Actor, State
from edeline_jax.actor_critic.rollout import act
from edeline_jax.nn.params import Params
from edeline_jax.replay.frame import to_float


class Choice(NamedTuple):
    """What the policy thinks of N frames, and the actions that were chosen."""

    actions: jax.Array  # int32 [N]
    logits: jax.Array  # float32 [N, A]
    values: jax.Array  # float32 [N]


@jax.jit(static_argnums=(1, 7))
def choose(
    params: Params,
    network: Actor,
    frames: jax.Array,
    state: State,
    fresh: jax.Array,
    key: jax.Array,
    epsilon: jax.Array,
    greedy: bool = False,
) -> tuple[Choice, State]:
    """Actions in N environments, and the next state of the actor.

    Args:
      params: of `network`.
      frames: uint8 [N, H, W, 3].
      state: of the N environments.
      fresh: bool [N], where the state begins anew from zeros.
      key: consumed.
      epsilon: the probability of a uniformly random action, [].
      greedy: takes the likeliest action instead of drawing one.

    Returns:
      The choice, and the state, which is yet to take in the actions; see `Actor`.
    """
    sample_key, explore_key, uniform_key = jax.random.split(key, 3)
    state = jax.tree.map(lambda x: jnp.where(jnp.expand_dims(fresh, range(1, x.ndim)), 0.0, x), state)
    shape = (len(frames), network.num_actions)
    gumbel = jnp.zeros(shape) if greedy else jax.random.gumbel(sample_key, shape)
    logits, values, state, chosen = act(params, network, to_float(frames), state, gumbel)
    uniform = jax.random.randint(uniform_key, chosen.shape, 0, network.num_actions)
    explores = jax.random.bernoulli(explore_key, epsilon, chosen.shape)
    return Choice(jnp.where(explores, uniform, chosen).astype(jnp.int32), logits, values), state
