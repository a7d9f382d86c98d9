"""The training state: the values that updates change."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec as P

from edeline_jax.actor_critic.rollout import RolloutState
from edeline_jax.agent.networks import agent_shapes, init_params
from edeline_jax.learning.optimizer import make_optimizer, make_world_model_optimizer
from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.runtime import cluster
from edeline_jax.runtime.devices import AXIS
from edeline_jax.world_model.imagination import ImaginationState


class Learner(NamedTuple):
    """One network's parameters, optimizer state and update count."""

    params: Params
    opt_state: optax.OptState
    updates: jax.Array  # int32 [], done so far


class TrainState(NamedTuple):
    """The state that updates change; the replay is separate.

    The rollout's batch is split over the devices; everything else is replicated. Before the first actor-critic update
    the rollout is zeros. `key` never changes: the keys of update n are folded from `key` and n, so a resumed run draws
    the same numbers as an uninterrupted one.
    """

    world_model: Learner
    actor_critic: Learner
    rollout: RolloutState
    key: jax.Array

    @property
    def params(self) -> Params:
        """The weights of both networks."""
        return {"world_model": self.world_model.params, "actor_critic": self.actor_critic.params}

    def with_params(self, params: Params) -> "TrainState":
        """The same state with other weights."""
        return self._replace(
            world_model=self.world_model._replace(params=params["world_model"]),
            actor_critic=self.actor_critic._replace(params=params["actor_critic"]),
        )


STATE_SPEC = TrainState(world_model=P(), actor_critic=P(), rollout=P(AXIS), key=P())


def init_state(setup: Setup, key: jax.Array, places: Any = None) -> TrainState:
    """Fresh parameters, optimizers and an empty rollout. The key is consumed.

    `places` is the sharding of every leaf; None: the default device.
    """
    init_key, train_key = jax.random.split(key)
    # processors of another kind may round another way, and replicas must not differ
    params = cluster.arrays_from_main(init_params(setup.agent, setup.frame_shape, init_key))
    return jax.jit(_state, static_argnums=0, out_shardings=places)(setup, params, train_key)


def state_shapes(setup: Setup) -> TrainState:
    """Shape and dtype of every leaf of a state."""
    params = agent_shapes(setup.agent, setup.frame_shape)
    return jax.eval_shape(functools.partial(_state, setup), params, jax.random.key(0))


def _state(setup: Setup, params: Params, key: jax.Array) -> TrainState:
    optimizer = make_world_model_optimizer(setup.agent.world_model, setup.world_model.optimizer)
    return TrainState(
        world_model=_learner(params["world_model"], optimizer),
        actor_critic=_learner(params["actor_critic"], make_optimizer(setup.actor_critic.optimizer)),
        rollout=empty_rollout(setup),
        key=key,
    )


def empty_rollout(setup: Setup) -> RolloutState:
    """A rollout state of zeros with the right shapes; the first update replaces it by starts from the replay."""
    agent, batch, frame_shape = setup.agent, setup.actor_critic.batch_size, setup.frame_shape
    return RolloutState(
        obs=agent.actor_critic.empty_obs(batch, frame_shape),
        lstm=agent.actor_critic.init_state(batch),
        env=ImaginationState(
            frames=jnp.zeros((batch, setup.context, *frame_shape)),
            memory=agent.world_model.init_memory(batch),
            age=jnp.zeros(batch, jnp.int32),
        ),
    )


def _learner(params: Params, optimizer: optax.GradientTransformation) -> Learner:
    return Learner(params, optimizer.init(params), jnp.zeros((), jnp.int32))
