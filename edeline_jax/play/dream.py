"""The world model and the policy as one game: sampler, memory, heads and policy in a single program."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from edeline_jax.actor_critic.network import burn_in
from edeline_jax.actor_critic.rollout import act
from edeline_jax.agent.networks import Agent
from edeline_jax.config.schema import WorldModelEnvConfig
from edeline_jax.envs.observation import Observation
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.params import Params
from edeline_jax.replay.frame import from_float
from edeline_jax.replay.segment import pad
from edeline_jax.world_model.diamond import Diamond
from edeline_jax.world_model.imagination import (
    ImaginationState,
    StepDraws,
    advance,
    draw_outcome,
    draw_step,
    observe,
    outcome_probabilities,
    reset_with_h,
)

POLICY = -1  # in place of an action: the one that the policy has drawn


class Dream(NamedTuple):
    """One imagined environment, with what policy and memory keep of it; leaves have a batch of 1."""

    world: ImaginationState
    lstm: LSTMState  # has seen the newest frame
    choice: jax.Array  # int [1]: the policy's action in the newest frame
    condition: jax.Array  # of the newest frame, see `WorldModel.see`; zeros at the start


class Opinion(NamedTuple):
    """What the policy thinks of a frame."""

    policy: jax.Array  # [A], probabilities
    value: jax.Array  # []


class Glance(NamedTuple):
    """An imagined step as it is shown."""

    trajectory: jax.Array  # uint8 [num_steps_denoising + 1, H, W, 3]: noise to the frame; see `denoise_frame`
    action: jax.Array  # int [], which led to the frame
    reward: jax.Array  # float32 []; see `RewardHead.imagine`
    end: jax.Array  # bool []
    expected_reward: jax.Array  # []; see `RewardHead.expected`
    ends: jax.Array  # [], probability of the end
    memory: jax.Array | None  # [2]: |h|, and by how much it moved in this step; DIAMOND has no h
    opinion: Opinion


class Temperatures(NamedTuple):
    """Factors of the noise that rewards and ends are drawn with: 1 as in training, 0 always the likeliest."""

    reward: float = 1.0
    end: float = 1.0


@functools.partial(jax.jit, static_argnums=1)
def begin(
    params: Params, agent: Agent, frames: jax.Array, actions: jax.Array, there: jax.Array, key: jax.Array
) -> tuple[Dream, Opinion]:
    """Begins where real frames end, as imagination does in training.

    Args:
      params: of `agent`.
      frames: uint8 [K + 1, H, W, 3], oldest first.
      actions: int32 [K + 1]; the last is not used.
      there: bool [K + 1], false before the game began; the last L are true.
      key: consumed.
    """
    there = there[None]
    start = pad(frames[None], actions[None], jnp.zeros(there.shape), jnp.zeros_like(there), there)
    world, h = reset_with_h(params["world_model"], agent.world_model, start)
    seen = observe(start.frames, h)
    before, newest = (jax.tree.map(lambda x, steps=steps: x[:, steps], seen) for steps in (slice(-1), -1))
    lstm = burn_in(params["actor_critic"], agent.actor_critic, before, there[:, :-1])
    lstm, choice, opinion = _consider(params, agent, newest, lstm, key)
    inputs = (params["world_model"], world.memory, world.frames[:, -1], choice)
    condition, _ = jax.eval_shape(lambda *inputs: agent.world_model.apply(*inputs, method="see"), *inputs)
    return Dream(world, lstm, choice, jnp.zeros(condition.shape, condition.dtype)), opinion


@functools.partial(jax.jit, static_argnums=(1, 6), donate_argnums=2)
def step(
    params: Params,
    agent: Agent,
    dream: Dream,
    action: jax.Array,
    key: jax.Array,
    temperatures: Temperatures,
    config: WorldModelEnvConfig,
) -> tuple[Dream, Glance]:
    """Imagines a step, as `imagination.step` does with the same draws, but for restarts: who plays decides on them.

    Args:
      params: of `agent`.
      dream: donated.
      action: int32 [], or `POLICY`.
      key: consumed; see `split`.
    """
    model, weights = agent.world_model, params["world_model"]
    key, policy_key = split(key)
    action = jnp.where(action == POLICY, dream.choice, action)
    draws = _tempered(draw_step(key, dream.world.frames.shape[2:], 1, config), temperatures)
    world, prediction = advance(weights, model, dream.world, action, draws, config)
    reward, end = draw_outcome(model, prediction, draws)
    _, ends = outcome_probabilities(model, prediction)
    h = prediction.condition
    obs = observe(world.frames[:, -1], h if agent.sees_h else None)
    lstm, choice, opinion = _consider(params, agent, obs, dream.lstm, policy_key)
    moved = None if isinstance(model, Diamond) else jnp.stack([jnp.linalg.norm(x) for x in (h, h - dream.condition)])
    return Dream(world, lstm, choice, h), Glance(
        trajectory=from_float(prediction.trajectory[:, 0].clip(-1, 1)),
        action=action[0],
        reward=reward[0],
        end=end[0],
        expected_reward=model.reward.expected(prediction.reward_logits)[0],
        ends=ends[0],
        memory=moved,
        opinion=opinion,
    )


def split(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The keys of the world model's draws (see `draw_step`) and of the policy's. The key is consumed."""
    world_key, policy_key = jax.random.split(key)
    return world_key, policy_key


def _consider(
    params: Params, agent: Agent, obs: jax.Array | Observation, lstm: LSTMState, key: jax.Array
) -> tuple[LSTMState, jax.Array, Opinion]:
    """The LSTM's state after an observation, batch of 1, the action drawn in it, int [1], and the opinion on it."""
    network = agent.actor_critic
    gumbel = jax.random.gumbel(key, (1, network.num_actions))
    logits, value, lstm, choice = act(params["actor_critic"], network, obs, lstm, gumbel)
    return lstm, choice, Opinion(jax.nn.softmax(logits[0]), value[0])


def _tempered(draws: StepDraws, temperatures: Temperatures) -> StepDraws:
    return draws._replace(reward=draws.reward * temperatures.reward, end=draws.end * temperatures.end)
