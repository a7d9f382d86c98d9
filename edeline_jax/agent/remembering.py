"""The policy in real games if it sees h: the world model's memory goes along, a step of it for every step played."""

from typing import NamedTuple

import jax

from edeline_jax.actor_critic.network import ActorCritic
from edeline_jax.envs.observation import Observation
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.params import Params
from edeline_jax.replay.frame import to_float
from edeline_jax.world_model.model import Memory, WorldModel


class RememberingState(NamedTuple):
    """What is kept of N games; all zeros where an episode begins.

    memory: of the world model; it has seen every step of the episode before the frame to act on.
    h: what it gave in the last of them, float32 [N, D]; see `Observation`.
    """

    lstm: LSTMState
    memory: Memory
    h: jax.Array


class RememberingPolicy(NamedTuple):
    """An `Actor` out of both networks of an agent; its parameters are the agent's."""

    world_model: WorldModel
    actor_critic: ActorCritic

    @property
    def num_actions(self) -> int:
        """A."""
        return self.actor_critic.num_actions

    def init_state(self, batch: int) -> RememberingState:
        """See `Actor`."""
        network = self.actor_critic
        return RememberingState(network.init_state(batch), self.world_model.init_memory(batch), network.empty_h(batch))

    def apply(
        self, params: Params, frames: jax.Array, state: RememberingState
    ) -> tuple[jax.Array, jax.Array, RememberingState]:
        """See `Actor`; memory and h stay as they are, since what is done in the frames is not known yet."""
        obs = Observation(frames, state.h)
        logits, values, lstm = self.actor_critic.apply(params["actor_critic"], obs, state.lstm)
        return logits, values, state._replace(lstm=lstm)

    def take_in(
        self, params: Params, state: RememberingState, frames: jax.Array, actions: jax.Array
    ) -> RememberingState:
        """See `Actor`: a step of the memory."""
        return _take_in(params["world_model"], self.world_model, state, frames, actions)


@jax.jit(static_argnums=1)
def _take_in(
    params: Params, model: WorldModel, state: RememberingState, frames: jax.Array, actions: jax.Array
) -> RememberingState:
    h, memory = model.apply(params, state.memory, to_float(frames), actions, method="see")
    return state._replace(memory=memory, h=h)
