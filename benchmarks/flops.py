"""XLA's count of the floating-point operations in an update.

XLA counts the body of a loop once, so the parts that run in loops are counted separately and multiplied by the number
of iterations, and gradients are counted for a batch of one, which the image encoder takes in one part. Programs are
lowered but not compiled, and for TPUs, where every convolution is XLA's own: the count does not depend on the
written-out gradients that the CPU uses.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from edeline_jax.actor_critic.rollout import Trajectory, act
from edeline_jax.agent.networks import Agent, agent_shapes
from edeline_jax.config import Config
from edeline_jax.learning.lessons import teaching
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.updates import actor_critic_gradients, world_model_gradients
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model.diamond_loss import Lessons


def count(function: Callable, *shapes: Any) -> float:
    """FLOPs of one call."""
    return jax.jit(function).trace(*shapes).lower(lowering_platforms=("tpu",)).cost_analysis()["flops"]


def update_flops(agent: Agent, config: Config) -> dict[str, float]:
    """FLOPs of one world-model update, one actor-critic update, one imagined step of all environments, one restart.

    Restarts happen at random: the actor-critic's update is counted without any, and what one costs an environment on
    its own. The optimizer is negligible and not counted.
    """
    params = agent_shapes(agent, config.frame_shape)
    step = imagined_step_flops(agent, config, params["world_model"])
    gradients = actor_critic_gradient_flops(agent, config, params["actor_critic"])
    B = config.actor_critic.training.batch_size
    obs, lstm = _seen(agent, config, B)
    policy = count(
        lambda params, obs, lstm, gumbel: act(params, agent.actor_critic, obs, lstm, gumbel),
        params["actor_critic"],
        obs,
        lstm,
        _floats(B, agent.actor_critic.num_actions),
    )
    T = config.actor_critic.loss.backup_every
    return {
        "world_model": world_model_flops(agent, config, params["world_model"]),
        "actor_critic": T * (step + policy) + gradients,
        "imagined_step": step,
        "restart": restart_flops(agent, config, params),
    }


def world_model_flops(agent: Agent, config: Config, params: dict) -> float:
    """FLOPs of loss and gradients on one batch."""
    setup, key = make_setup(agent, config), jax.random.key(0)

    def segment(T: int) -> Segment:
        there = _floats(1, T, dtype=bool)
        return Segment(_floats(1, T, *config.frame_shape), _ints(1, T), _floats(1, T), there, there)

    batch = segment(config.world_model.loss.burn_in + config.segment_length)
    if config.agent.kind == "diamond":
        batch = Lessons(segment(config.context + 1 + config.world_model.loss.num_autoregressive_steps), batch)
    draws = jax.eval_shape(lambda batch: teaching(setup).draw(key, key, batch, setup), batch)
    flops = count(
        lambda params, batch, draws: world_model_gradients(params, batch, draws, setup),
        params,
        batch,
        draws,
    )
    return flops * config.world_model.training.batch_size


def imagined_step_flops(agent: Agent, config: Config, params: dict) -> float:
    """FLOPs of memory, reward and end, and all of the sampler's calls of the denoiser."""
    model = agent.world_model
    sampler = config.world_model_env.diffusion_sampler
    B, L = config.actor_critic.training.batch_size, config.context
    frame = config.frame_shape
    memory, action = jax.eval_shape(lambda: model.init_memory(B)), _ints(B)
    step = params, memory, _floats(B, *frame), action
    condition, _ = jax.eval_shape(lambda *step: model.apply(*step, method="see"), *step)
    see = count(lambda *step: model.apply(*step, method="see"), *step)
    rest = params, memory, condition, _floats(B, *frame), action, _floats(B, *frame)
    outcome = count(lambda *rest: model.apply(*rest, method="outcome"), *rest)
    denoise = count(
        lambda *inputs: model.apply(*inputs, method="denoise"),
        params,
        _floats(B, L, *frame),
        _floats(B, *frame),
        _floats(B),
        condition,
    )
    calls = sampler.order * sampler.num_steps_denoising - (sampler.order - 1)  # Heun's last step is Euler's
    return see + outcome + calls * denoise


def restart_flops(agent: Agent, config: Config, params: dict) -> float:
    """FLOPs of the burn-in of one environment's memory and LSTM; the policy's gradient through its end is left out.

    The steps are counted one by one, since the longer scans are loops.
    """
    model, network, frame = agent.world_model, agent.actor_critic, config.frame_shape
    K = config.context  # what DIAMOND's memory wants to see
    known = _floats(1, K, *frame), _ints(1, K)
    memory = count(lambda *known: model.apply(*known, method="burn_in"), params["world_model"], *known) / (K - 1)
    lstm = count(network.apply, params["actor_critic"], *_seen(agent, config, 1))
    return config.burn_in * (memory + lstm)


def actor_critic_gradient_flops(agent: Agent, config: Config, params: dict) -> float:
    """FLOPs of loss and gradients on a trajectory without restarts; the recurrent part, a loop, is counted per step."""
    network = agent.actor_critic
    c = config.actor_critic
    T, B = c.loss.backup_every, 1
    flags = _floats(T, B, dtype=bool)
    scalars = _floats(T, B)
    logits = _floats(T, B, network.num_actions)
    seen, lstm = _seen(agent, config, B)
    obs, burn_in = (jax.tree.map(lambda x, K=K: _floats(T, B, *K, *x.shape[1:]), seen) for K in ((), (0,)))
    trajectory = Trajectory(obs, _ints(T, B), scalars, flags, flags, flags, burn_in, logits, scalars, scalars)
    gradients = count(
        lambda params, trajectory, lstm: actor_critic_gradients(params, trajectory, lstm, make_setup(agent, config)),
        params,
        trajectory,
        lstm,
    )

    def outputs(params: dict, features: jax.Array, lstm: LSTMState) -> jax.Array:
        logits, value, _ = network.apply(params, features, lstm, method="recur")
        return logits.sum() + value.sum()

    features = jax.eval_shape(lambda params, obs: network.apply(params, obs, method="encode"), params, seen)
    step = count(jax.grad(outputs, (0, 1)), params, features, lstm)
    return (gradients + (T - 1) * step) * c.training.batch_size


def _seen(agent: Agent, config: Config, batch: int) -> tuple[Any, Any]:
    """The shapes of what the policy sees, and of its LSTM's state."""
    network = agent.actor_critic
    return jax.eval_shape(lambda: (network.empty_obs(batch, config.frame_shape), network.init_state(batch)))


def _floats(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def _ints(*shape: int) -> jax.ShapeDtypeStruct:
    return _floats(*shape, dtype=jnp.int32)
