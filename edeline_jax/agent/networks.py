"""The networks of an agent and their parameters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.actor_critic.actor import Actor
from edeline_jax.actor_critic.network import ActorCritic
from edeline_jax.agent.remembering import RememberingPolicy
from edeline_jax.config import Config
from edeline_jax.nn.params import Params, cast_weights, draw_params, param_shapes
from edeline_jax.replay.reward import HEADS
from edeline_jax.world_model.diamond import Diamond
from edeline_jax.world_model.edeline import Edeline
from edeline_jax.world_model.model import WorldModel

WORLD_MODELS: dict[str, type[WorldModel]] = {"edeline": Edeline, "diamond": Diamond}
FLOAT32_LAYERS = ("dt_proj",)  # in every compute dtype: Mamba's step sizes


class Agent(NamedTuple):
    """Networks without parameters; hashable, so jitted functions may close over them or take them as static."""

    world_model: WorldModel
    actor_critic: ActorCritic

    @property
    def actor(self) -> Actor:
        """What acts in real games."""
        return RememberingPolicy(*self) if self.sees_h else self.actor_critic

    def actor_params(self, params: Params) -> Params:
        """The actor's parameters out of the agent's."""
        return params if self.sees_h else params["actor_critic"]

    @property
    def sees_h(self) -> bool:
        """Whether the policy sees the memory's h beside the frames."""
        return self.actor_critic.config.actor_critic.sees_h


def build_agent(config: Config, num_actions: int) -> Agent:
    """The networks that the config describes."""
    world_model = WORLD_MODELS[config.agent.kind](config.agent, num_actions, HEADS[config.reward.head])
    return Agent(world_model, ActorCritic(config.agent, num_actions))


def inference_weights(network: WorldModel | ActorCritic, params: Params) -> Params:
    """Parameters to call the network with many times, without gradients: weights already in its compute dtype."""
    return cast_weights(params, jnp.dtype(network.config.compute_dtype), FLOAT32_LAYERS)


def init_params(agent: Agent, frame_shape: tuple[int, int, int], key: jax.Array) -> Params:
    """Fresh float32 parameters for frames [H, W, C], NumPy arrays. The key is consumed."""
    seed = np.asarray(jax.random.key_data(key)).tolist()
    inputs = _inputs(agent, frame_shape)
    return {
        name: draw_params(getattr(agent, name), [*seed, number], *inputs[name]) for number, name in enumerate(inputs)
    }


def agent_shapes(agent: Agent, frame_shape: tuple[int, int, int]) -> Params:
    """Shapes and dtypes of the parameters."""
    inputs = _inputs(agent, frame_shape)
    return {name: param_shapes(getattr(agent, name), *inputs[name]) for name in inputs}


def _inputs(agent: Agent, frame_shape: tuple[int, int, int]) -> dict[str, tuple]:
    """Shapes of arguments with which each network uses every parameter once."""
    steps = agent.world_model.config.denoiser.inner_model.num_steps_conditioning + 1
    frames = jax.ShapeDtypeStruct((1, steps, *frame_shape), jnp.float32)
    actions = jax.ShapeDtypeStruct((1, steps), jnp.int32)
    network = agent.actor_critic
    seen = jax.eval_shape(lambda: (network.empty_obs(1, frame_shape), network.init_state(1)))
    return {"world_model": (frames, actions), "actor_critic": seen}
