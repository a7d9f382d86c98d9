"""The world model as an environment: pure `reset` and `step`, with restarts inside (EDELINE, algorithm 1)."""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from edeline_jax.config.schema import WorldModelEnvConfig
from edeline_jax.envs.observation import Observation
from edeline_jax.envs.outcome import Outcome
from edeline_jax.nn.params import Params
from edeline_jax.nn.restart import replace_rows
from edeline_jax.replay.frame import quantize
from edeline_jax.replay.reward import SIGNS
from edeline_jax.replay.segment import Segment, joined
from edeline_jax.world_model.edm import sample
from edeline_jax.world_model.heads import END_CLASSES
from edeline_jax.world_model.model import Memory, WorldModel

Older = Callable[[jax.Array], Segment]  # of rows, int [k]: see `Outcome.older`


class ImaginationState(NamedTuple):
    """B imagined environments.

    frames: the last L frames, oldest first, float32 [B, L, H, W, C]; the policy sees the newest.
    memory: of the world model; it has seen every step before the newest frame.
    age: imagined steps since the start, int32 [B].
    """

    frames: jax.Array
    memory: Memory
    age: jax.Array


class Prediction(NamedTuple):
    """What the world model says of one step of B environments.

    trajectory: how the next frame came out of noise; see `denoise_frame`.
    condition: what it was denoised on.
    reward_logits: [B, classes]; see `RewardHead`.
    end_logits: [B, 2].
    """

    trajectory: jax.Array
    condition: jax.Array
    reward_logits: jax.Array
    end_logits: jax.Array


class StepDraws(NamedTuple):
    """The random numbers of one imagined step: Gumbel noise for classes, N(0, 1) for images."""

    reward: jax.Array  # [B, 3]: of signs
    end: jax.Array  # [B, 2]
    x_init: jax.Array  # [B, H, W, C]
    churn: jax.Array | None  # [num_steps_denoising, B, H, W, C]; None without churn


def draw_step(key: jax.Array, frame_shape: tuple[int, ...], batch: int, config: WorldModelEnvConfig) -> StepDraws:
    """Draws the random numbers of one step; `frame_shape` is [H, W, C]. The key is consumed."""
    sampler, shape = config.diffusion_sampler, (batch, *frame_shape)
    reward_key, end_key, x_key, churn_key = jax.random.split(key, 4)
    churn = jax.random.normal(churn_key, (sampler.num_steps_denoising, *shape)) if sampler.s_churn > 0 else None
    return StepDraws(
        reward=jax.random.gumbel(reward_key, (batch, SIGNS)),
        end=jax.random.gumbel(end_key, (batch, END_CLASSES)),
        x_init=jax.random.normal(x_key, shape),
        churn=churn,
    )


def reset(params: Params, model: WorldModel, start: Segment) -> ImaginationState:
    """Environments whose newest frame is the newest of each start, a segment of L steps or more.

    The memory is burnt in on the steps before it. In a start of L steps padding is a step like any other, as in the
    authors' program; in a longer one the memory begins where the episode does.
    """
    return reset_with_h(params, model, start)[0]


def reset_with_h(params: Params, model: WorldModel, start: Segment) -> tuple[ImaginationState, jax.Array | None]:
    """The environments of `reset`, and what the policy sees of h: before each frame of the start, float32 [B, K, D].

    It is zeros before the first frame, and before the first of the episode. None: the policy sees frames only.
    """
    chex.assert_rank(start.frames, 5, custom_message="start.frames")
    chex.assert_tree_shape_prefix(start, start.frames.shape[:2])
    L = model.config.denoiser.inner_model.num_steps_conditioning
    mask = start.mask if start.mask.shape[1] > L else None
    h, memory = model.apply(params, start.frames, start.actions, mask, method="burn_in")
    state = ImaginationState(start.frames[:, -L:], memory, jnp.zeros(len(start.actions), jnp.int32))
    if not model.config.actor_critic.sees_h:
        return state, None
    known = h if mask is None else jnp.where(mask[:, :-1, None], h, 0.0)
    return state, jnp.pad(known, ((0, 0), (1, 0), (0, 0)))


def observe(frames: jax.Array, h: jax.Array | None) -> jax.Array | Observation:
    """What the policy sees of frames, and of h if it is not None; see `reset_with_h`."""
    return frames if h is None else Observation(frames, h)


def step(
    params: Params,
    model: WorldModel,
    state: ImaginationState,
    action: jax.Array,
    draws: StepDraws,
    start: Segment,
    config: WorldModelEnvConfig,
    older: Older | None = None,
) -> tuple[ImaginationState, Outcome]:
    """Imagines one step; environments that end or reach the horizon restart from `start`.

    Args:
      params: of `model`.
      action: int [B], in the newest frame.
      draws: see `StepDraws`.
      start: one segment of L steps per environment, used only if it restarts.
      older: reads the steps before those, for the environments that restart; None: there are none.

    Returns:
      The state after restarts, and the outcome of the action.
    """
    chex.assert_equal_shape([start.frames, state.frames], custom_message="start.frames, state.frames")
    chex.assert_tree_shape_prefix(start, start.frames.shape[:2])
    state, prediction = advance(params, model, state, action, draws, config)
    reward, end = draw_outcome(model, prediction, draws)
    h = prediction.condition if model.config.actor_critic.sees_h else None
    final_obs, truncation = observe(state.frames[:, -1], h), state.age >= config.horizon
    state, h = _restart(params, model, state, h, end | truncation, start, older)
    L = start.frames.shape[1]
    burn_in = observe(start.frames[:, :-1], _at(h, slice(-L, -1))), None if older is None else start.mask[:, :-1]
    look_back = older and jax.tree_util.Partial(_look_back, older, _at(h, slice(-L)))
    obs = observe(state.frames[:, -1], _at(h, -1))
    return state, Outcome(obs, final_obs, reward, end, truncation, *burn_in, look_back)


def advance(
    params: Params,
    model: WorldModel,
    state: ImaginationState,
    action: jax.Array,
    draws: StepDraws,
    config: WorldModelEnvConfig,
) -> tuple[ImaginationState, Prediction]:
    """Imagines one step without restarts; whether and how it is rewarded or ends is left to draw. Args: see `step`."""
    B, _, *frame = state.frames.shape
    chex.assert_shape(action, (B,), custom_message="action")
    chex.assert_tree_shape_prefix((state, draws._replace(churn=None)), (B,))
    chex.assert_shape(draws.x_init, (B, *frame), custom_message="x_init")
    newest = state.frames[:, -1]
    condition, memory = model.apply(params, state.memory, newest, action, method="see")
    trajectory = denoise_frame(params, model, state.frames, condition, draws, config)
    rest = (condition, newest, action, trajectory[-1])
    *logits, memory = model.apply(params, memory, *rest, method="outcome")
    frames = jnp.concatenate([state.frames[:, 1:], trajectory[-1][:, None]], 1)
    return ImaginationState(frames, memory, state.age + 1), Prediction(trajectory, condition, *logits)


def draw_outcome(model: WorldModel, prediction: Prediction, draws: StepDraws) -> tuple[jax.Array, jax.Array]:
    """The reward (float32 [B]; see `RewardHead.imagine`) and the end (bool [B], drawn) of a step."""
    reward = model.reward.imagine(prediction.reward_logits, draws.reward)
    return reward, jnp.argmax(prediction.end_logits + draws.end, -1).astype(bool)


def outcome_probabilities(model: WorldModel, prediction: Prediction) -> tuple[jax.Array, jax.Array]:
    """Those of the signs -1, 0 and 1 of the reward, [B, 3], and of the end, [B]."""
    sign_logits = model.reward.sign_logits(prediction.reward_logits)
    return jax.nn.softmax(sign_logits), jax.nn.softmax(prediction.end_logits)[..., 1]


def denoise_frame(
    params: Params,
    model: WorldModel,
    context: jax.Array,
    condition: jax.Array,
    draws: StepDraws,
    config: WorldModelEnvConfig,
) -> jax.Array:
    """Samples the frame after `context` [B, L, H, W, C]; `condition` is from `WorldModel.see`.

    Returns:
      Noise, and what it is after every step of the sampler, [num_steps_denoising + 1, B, H, W, C]; the last is the
      frame, quantised.
    """

    def denoise(noisy: jax.Array, sigma: jax.Array) -> jax.Array:
        return quantize(model.apply(params, context, noisy, sigma, condition, method="denoise")[1])

    return sample(denoise, draws.x_init, config.diffusion_sampler, draws.churn)


def _restart(
    params: Params,
    model: WorldModel,
    state: ImaginationState,
    h: jax.Array | None,
    dead: jax.Array,
    start: Segment,
    older: Older | None,
) -> tuple[ImaginationState, jax.Array | None]:
    """The state after restarts, and h before each frame of new starts, [B, K, D]; of others h [B, D], K times."""

    def restart(index: jax.Array) -> tuple[ImaginationState, jax.Array | None]:
        chosen = jax.tree.map(lambda x: x[index], start)
        return reset_with_h(params, model, chosen if older is None else joined(older(index), chosen))

    if h is not None:
        K = start.mask.shape[1] + (jax.eval_shape(older, jnp.arange(1)).mask.shape[1] if older else 0)
        h = jnp.repeat(h[:, None], K, 1)
    return replace_rows(dead, restart, (state, h))


def _at(h: jax.Array | None, steps: int | slice) -> jax.Array | None:
    return h if h is None else h[:, steps]


def _look_back(older: Older, h: jax.Array | None, rows: jax.Array) -> Segment:
    """The older steps as the policy sees them; `h` [B, ...] is that before their frames."""
    steps = older(rows)
    return steps._replace(frames=observe(steps.frames, h if h is None else h[rows]))
