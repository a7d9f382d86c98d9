"""The update programs: per-device functions with sums over the axis `data`, many updates per dispatch.

`axis_name` is the mapped axis, or None on a single device without a mesh. Draws come from keys made here and nowhere
else: `shared_key` is equal on all devices, `device_key` belongs to one.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from edeline_jax.actor_critic.loss import actor_critic_loss
from edeline_jax.actor_critic.network import ActorCritic
from edeline_jax.actor_critic.rollout import PolicyDraws, RolloutState, Trajectory, rollout
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.config.schema import ActorCriticLossConfig, WorldModelLossConfig
from edeline_jax.envs.outcome import Outcome
from edeline_jax.learning.optimizer import make_optimizer
from edeline_jax.learning.state import Learner, TrainState
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.sampling import sample_segments, sample_starts
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model import imagination
from edeline_jax.world_model.imagination import StepDraws
from edeline_jax.world_model.loss import LossDraws, draw_loss, world_model_loss
from edeline_jax.world_model.model import WorldModel

Metrics = dict[str, jax.Array]
Gradients = Callable[
    [Any, jax.Array], tuple[Any, tuple[Any, Metrics]]
]  # (carry, number of the part) -> (carry, shares of (grads, metrics))


def world_model_gradients(
    params: Params,
    model: WorldModel,
    batch: Segment,
    draws: LossDraws,
    config: WorldModelLossConfig,
    axis_name: str | None,
) -> tuple[Params, Metrics]:
    """This device's share of the batch's gradients and metrics; see `total`."""
    return jax.grad(world_model_loss, has_aux=True)(params, model, batch, draws, config, axis_name)


def actor_critic_gradients(
    params: Params,
    network: ActorCritic,
    trajectory: Trajectory,
    lstm: LSTMState,
    config: ActorCriticLossConfig,
    axis_name: str | None,
) -> tuple[Params, Metrics]:
    """This device's share of the batch's gradients and metrics; see `total`."""
    means = jax.grad(actor_critic_loss, has_aux=True)(params, network, trajectory, lstm, config)
    return means if axis_name is None else jax.tree.map(lambda x: x / jax.lax.axis_size(axis_name), means)


def total(shares: Any, axis_name: str | None) -> Any:
    """The sum of the devices' shares: what an update sends, once."""
    return shares if axis_name is None else jax.lax.psum(shares, axis_name)


def apply_gradients(
    learner: Learner, grads: Params, optimizer: optax.GradientTransformation
) -> tuple[Learner, jax.Array]:
    """One optimizer step; also returns the global norm of the gradients before clipping."""
    changes, opt_state = optimizer.update(grads, learner.opt_state, learner.params)
    params = optax.apply_updates(learner.params, changes)
    return Learner(params, opt_state, learner.updates + 1), optax.tree.norm(grads)


def train_world_model(
    state: TrainState, replay: Replay, num_updates: jax.Array, agent: Agent, config: Config, axis_name: str | None
) -> tuple[TrainState, Metrics]:
    """Runs `num_updates` world-model updates on segments of the replay; metrics are means, see `_repeat`."""
    c, optimizer = config.world_model, make_optimizer(config.world_model.optimizer)

    def update(learner: Learner) -> tuple[Learner, Metrics]:
        def gradients(carry: None, part: jax.Array) -> tuple[None, tuple[Params, Metrics]]:
            batch, draws = world_model_batch(state.key, replay, learner.updates, part, config, axis_name)
            return carry, world_model_gradients(learner.params, agent.world_model, batch, draws, c.loss, axis_name)

        _, (grads, metrics) = _accumulate(gradients, None, c.training.grad_acc_steps, axis_name)
        learner, grad_norm = apply_gradients(learner, grads, optimizer)
        return learner, {**metrics, "grad_norm": grad_norm}

    learner, metrics = _repeat(update, state.world_model, num_updates)
    return state._replace(world_model=learner), metrics


def world_model_batch(
    key: jax.Array, replay: Replay, update: jax.Array, part: jax.Array, config: Config, axis_name: str | None
) -> tuple[Segment, LossDraws]:
    """What one part of update number `update` (from 0) learns from; `key` is the run's."""
    batch_size = _share(config.world_model.training.batch_size, axis_name)
    shared_key, device_key = _keys(key, 0, update, part, axis_name)
    segment_key, loss_key = jax.random.split(device_key)
    batch = sample_segments(replay, segment_key, config.frame_shape, batch_size, config.segment_length)
    return batch, draw_loss(shared_key, loss_key, batch.frames.shape, config.context, config.world_model.loss)


def train_actor_critic(
    state: TrainState, replay: Replay, num_updates: jax.Array, agent: Agent, config: Config, axis_name: str | None
) -> tuple[TrainState, Metrics]:
    """Runs `num_updates` actor-critic updates in imagination; metrics are means, see `_repeat`."""
    c, optimizer = config.actor_critic, make_optimizer(config.actor_critic.optimizer)
    world_model_params = state.world_model.params

    def update(carry: tuple[Learner, RolloutState]) -> tuple[tuple[Learner, RolloutState], Metrics]:
        learner, begin = carry

        def gradients(begin: RolloutState, part: jax.Array) -> tuple[RolloutState, tuple[Params, Metrics]]:
            _, key = _keys(state.key, 1, learner.updates, part, axis_name)
            begin = jax.lax.cond(learner.updates + part > 0, lambda: begin, lambda: fresh(key))
            end, trajectory = imagine(learner.params, world_model_params, replay, begin, key, agent, config, axis_name)
            shares = actor_critic_gradients(
                learner.params, agent.actor_critic, trajectory, begin.lstm, c.loss, axis_name
            )
            return end, shares

        def fresh(key: jax.Array) -> RolloutState:
            return begin_imagining(world_model_params, replay, key, agent, config, axis_name)

        end, (grads, metrics) = _accumulate(gradients, begin, c.training.grad_acc_steps, axis_name)
        learner, grad_norm = apply_gradients(learner, grads, optimizer)
        return (learner, end), {**metrics, "grad_norm": grad_norm}

    (learner, end), metrics = _repeat(update, (state.actor_critic, state.rollout), num_updates)
    return state._replace(actor_critic=learner, rollout=end), metrics


def begin_imagining(
    params: Params, replay: Replay, key: jax.Array, agent: Agent, config: Config, axis_name: str | None
) -> RolloutState:
    """The very first starts: the memory is burnt in, the LSTM begins from zeros."""
    batch_size = _share(config.actor_critic.training.batch_size, axis_name)
    start = sample_starts(replay, jax.random.fold_in(key, 0), config.frame_shape, batch_size, config.context)
    env = imagination.reset(params, agent.world_model, start)
    return RolloutState(env.frames[:, -1], agent.actor_critic.init_state(batch_size), env)


def imagine(
    params: Params,
    world_model_params: Params,
    replay: Replay,
    begin: RolloutState,
    key: jax.Array,
    agent: Agent,
    config: Config,
    axis_name: str | None,
) -> tuple[RolloutState, Trajectory]:
    """One rollout of `backup_every` steps in the world model, with fresh starts from the replay."""
    batch_size = _share(config.actor_critic.training.batch_size, axis_name)

    def env_step(state: Any, action: jax.Array, key: jax.Array) -> tuple[Any, Outcome]:
        draws, start = draw_env_step(replay, key, batch_size, config)
        return imagination.step(
            world_model_params, agent.world_model, state, action, draws, start, config.world_model_env
        )

    draws = draw_rollout(key, batch_size, agent.actor_critic.num_actions, config.actor_critic.loss)
    return rollout(params, agent.actor_critic, env_step, begin, draws)


def draw_rollout(key: jax.Array, batch_size: int, num_actions: int, config: ActorCriticLossConfig) -> PolicyDraws:
    """Noise for the actions of one rollout, and a key for each of its steps: noise for all frames would fill memory."""
    action_key, env_key = jax.random.split(jax.random.fold_in(key, 1))
    T = config.backup_every
    return PolicyDraws(jax.random.gumbel(action_key, (T, batch_size, num_actions)), jax.random.split(env_key, T))


def draw_env_step(replay: Replay, key: jax.Array, batch_size: int, config: Config) -> tuple[StepDraws, Segment]:
    """What one imagined step takes: its noise, and starts for environments that end. The key is consumed."""
    draw_key, start_key = jax.random.split(key)
    draws = imagination.draw_step(draw_key, config.frame_shape, batch_size, config.world_model_env)
    return draws, sample_starts(replay, start_key, config.frame_shape, batch_size, config.context)


def _keys(
    key: jax.Array, stream: int, update: jax.Array, part: jax.Array, axis_name: str | None
) -> tuple[jax.Array, jax.Array]:
    """(shared key, device key) of one part of one update; `stream` tells the two networks apart."""
    for number in (stream, update, part):
        key = jax.random.fold_in(key, number)
    shared_key, device_key = jax.random.split(key)
    device = 0 if axis_name is None else jax.lax.axis_index(axis_name)
    return shared_key, jax.random.fold_in(device_key, device)


def _share(batch_size: int, axis_name: str | None) -> int:
    return batch_size if axis_name is None else batch_size // jax.lax.axis_size(axis_name)


def _accumulate(gradients: Gradients, carry: Any, parts: int, axis_name: str | None) -> tuple[Any, tuple[Any, Metrics]]:
    """Averages the gradients and metrics of the parts of one update, then adds up the shares of the devices."""
    carry, results = jax.lax.scan(gradients, carry, jnp.arange(parts))
    return carry, total(jax.tree.map(lambda x: x.astype(jnp.float32).mean(0), results), axis_name)


def _repeat(update: Callable[[Any], tuple[Any, Metrics]], carry: Any, num_updates: jax.Array) -> tuple[Any, Metrics]:
    """Runs `update` up to `num_updates` times.

    The number is known only at run time, so that no length needs its own program. Returns the carry and the mean of
    each metric over the updates that ran, plus `num_updates` of them. It stops after the first update with a metric
    that is not finite, which then shows in the mean.
    """
    shapes = jax.eval_shape(lambda: update(carry)[1])
    totals = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def finite(totals: Metrics) -> jax.Array:
        return jnp.all(jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(totals)]))

    def goes_on(loop: tuple) -> jax.Array:
        done, _, totals = loop
        return (done < num_updates) & finite(totals)

    def body(loop: tuple) -> tuple:
        done, carry, totals = loop
        carry, metrics = update(carry)
        return done + 1, carry, jax.tree.map(jnp.add, totals, metrics)

    done, carry, totals = jax.lax.while_loop(goes_on, body, (jnp.zeros((), jnp.int32), carry, totals))
    return carry, {**jax.tree.map(lambda x: x / jnp.maximum(done, 1), totals), "num_updates": done}
