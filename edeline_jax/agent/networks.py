"""The networks of an agent and their parameters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from edeline_jax.actor_critic.network import ActorCritic
from edeline_jax.config import Config
from edeline_jax.nn.params import Params
from edeline_jax.world_model.model import WorldModel


class Agent(NamedTuple):
    """Networks without parameters; hashable, so jitted functions may close over them or take them as static."""

    world_model: WorldModel
    actor_critic: ActorCritic


def build_agent(config: Config, num_actions: int) -> Agent:
    """The networks that the config describes."""
    return Agent(WorldModel(config.agent, num_actions), ActorCritic(config.agent, num_actions))


def init_params(agent: Agent, frame_shape: tuple[int, int, int], key: jax.Array) -> Params:
    """Fresh float32 parameters for frames [H, W, C]. The key is consumed."""
    world_model_key, actor_critic_key = jax.random.split(key)
    steps = agent.world_model.config.denoiser.inner_model.num_steps_conditioning + 1
    frames, actions = jnp.zeros((1, steps, *frame_shape)), jnp.zeros((1, steps), jnp.int32)
    lstm = agent.actor_critic.init_state(1)
    return {
        "world_model": agent.world_model.init(world_model_key, frames, actions),
        "actor_critic": agent.actor_critic.init(actor_critic_key, frames[:, 0], lstm),
    }
