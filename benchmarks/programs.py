"""Compiles the programs of a run from shapes alone, for devices that need only be described."""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from edeline_jax.agent.networks import Agent, agent_shapes, inference_weights
from edeline_jax.config import Config
from edeline_jax.learning.programs import build_programs
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import state_shapes
from edeline_jax.replay.buffer import init_replay, num_shares
from edeline_jax.runtime.devices import AXIS
from edeline_jax.world_model.imagination import StepDraws, denoise_frame

NUM_ACTIONS = 4


def compiled(name: str, agent: Agent, config: Config, mesh: Mesh) -> jax.stages.Compiled:
    """An update program (`world_model`, `actor_critic`) or the `denoiser`."""
    if name == "denoiser":
        return compiled_denoiser(agent, config, mesh)
    state = state_shapes(make_setup(agent, config))
    num_envs = config.env.num_envs
    size = 3 * config.env.size**2
    steps = config.collection.num_steps_total // num_envs
    replay = jax.eval_shape(lambda: init_replay(num_envs, steps, size, num_shares(num_envs, mesh)))
    return build_programs(agent, config, mesh)[name].lower(state, replay).compile()


def compiled_denoiser(agent: Agent, config: Config, mesh: Mesh) -> jax.stages.Compiled:
    """The sampler as an imagined step runs it: a loop of denoiser calls for the actor-critic's batch."""
    model = agent.world_model
    batch = config.actor_critic.training.batch_size
    size = config.env.size
    D = config.agent.recurrent_emb.mamba.d_model
    params = agent_shapes(agent, config.frame_shape)["world_model"]
    params = jax.eval_shape(lambda params: inference_weights(model, params), params)

    def shape(*dims: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((batch, *dims), jnp.float32, sharding=NamedSharding(mesh, P(AXIS)))

    everywhere = NamedSharding(mesh, P())
    params = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), params)

    def sampler(params: dict, context: jax.Array, h: jax.Array, x_init: jax.Array) -> jax.Array:
        draws = StepDraws(None, None, x_init, None)
        return denoise_frame(params, model, context, h, draws, config.world_model_env)[-1]

    arguments = shape(config.context, size, size, 3), shape(D), shape(size, size, 3)
    return jax.jit(sampler).lower(params, *arguments).compile()
