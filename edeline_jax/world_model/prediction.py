"""Imagines over given actions: on from real frames, and real experience over again, whose frames are then known."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from edeline_jax.config.schema import WorldModelEnvConfig
from edeline_jax.nn.params import Params
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model.imagination import (
    ImaginationState,
    Prediction,
    StepDraws,
    advance,
    draw_outcome,
    draw_step,
    outcome_probabilities,
    reset,
)
from edeline_jax.world_model.model import WorldModel

Seen = TypeVar("Seen")


class Imagined(NamedTuple):
    """T imagined steps of B environments, with the rewards and ends that imagination has."""

    frames: jax.Array  # float32 [B, T, H, W, C]: those that the actions led to
    rewards: jax.Array  # float32 [B, T]: -1, 0 or 1, drawn; of a two-hot head the expected ones
    ends: jax.Array  # bool [B, T]


class Foreseen(NamedTuple):
    """T imagined steps of B environments, with the probabilities of their rewards and ends."""

    trajectory: jax.Array  # float32 [B, T, num_steps_denoising + 1, H, W, C]: noise to frame; see `denoise_frame`
    rewards: jax.Array  # [B, T, 3], of the signs -1, 0 and 1
    ends: jax.Array  # [B, T]


def imagine(
    params: Params, model: WorldModel, start: Segment, actions: jax.Array, key: jax.Array, config: WorldModelEnvConfig
) -> Imagined:
    """Imagines the steps of given actions, without restarts: it goes on over ends and beyond the horizon.

    Args:
      params: of `model`.
      start: B segments of L steps or more, all of which the memory sees; the last one's action is not used.
      actions: int [B, T], the first of them in the newest frame of `start`.
      key: consumed.
    """
    state = reset(params, model, start)

    def look(prediction: Prediction, draws: StepDraws) -> Imagined:
        return Imagined(prediction.trajectory[-1], *draw_outcome(model, prediction, draws))

    return _unroll(params, model, state, actions, key, config, look)[1]


def foresee(
    params: Params,
    model: WorldModel,
    state: ImaginationState,
    actions: jax.Array,
    key: jax.Array,
    config: WorldModelEnvConfig,
) -> tuple[ImaginationState, Foreseen]:
    """Imagines the steps of given actions from a state, as `imagine` does; also returns the state after them."""

    def look(prediction: Prediction, draws: StepDraws) -> Foreseen:
        del draws
        return Foreseen(prediction.trajectory.swapaxes(0, 1), *outcome_probabilities(model, prediction))

    return _unroll(params, model, state, actions, key, config, look)


def _unroll(
    params: Params,
    model: WorldModel,
    state: ImaginationState,
    actions: jax.Array,
    key: jax.Array,
    config: WorldModelEnvConfig,
    look: Callable[[Prediction, StepDraws], Seen],
) -> tuple[ImaginationState, Seen]:
    """The state after all actions [B, T], and what `look` makes of each step's prediction and draws, [B, T, ...]."""
    batch, frame_shape = len(actions), state.frames.shape[2:]

    def step(state: ImaginationState, inputs: tuple) -> tuple[ImaginationState, Seen]:
        action, key = inputs
        draws = draw_step(key, frame_shape, batch, config)
        state, prediction = advance(params, model, state, action, draws, config)
        return state, look(prediction, draws)

    state, seen = jax.lax.scan(step, state, (actions.T, jax.random.split(key, actions.shape[1])))
    return state, jax.tree.map(lambda x: x.swapaxes(0, 1), seen)


def predict_sequence(
    params: Params, model: WorldModel, segment: Segment, key: jax.Array, config: WorldModelEnvConfig
) -> jax.Array:
    """Imagines a recorded segment, given its first L frames and all its actions.

    Args:
      params: of `model`.
      segment: B segments of T > L steps.
      key: consumed.

    Returns:
      The imagined frames L .. T-1, float32 [B, T - L, H, W, C].
    """
    L = model.config.denoiser.inner_model.num_steps_conditioning
    start = jax.tree.map(lambda x: x[:, :L], segment)
    return imagine(params, model, start, segment.actions[:, L - 1 : -1], key, config).frames


def one_step_errors(
    params: Params, model: WorldModel, segment: Segment, key: jax.Array, config: WorldModelEnvConfig
) -> tuple[jax.Array, jax.Array]:
    """Root mean square pixel error of the next frame, in levels of 0..255.

    Args:
      segment: B segments of L + 1 steps; those whose last step is padding do not count.

    Returns:
      The model's error [], and that of repeating the last frame [].
    """
    predicted = predict_sequence(params, model, segment, key, config)[:, 0]
    target, last = segment.frames[:, -1], segment.frames[:, -2]
    valid = segment.mask[:, -1].astype(jnp.float32)

    def error(guess: jax.Array) -> jax.Array:
        square = (jnp.square(guess - target).mean((1, 2, 3)) * valid).sum() / jnp.maximum(valid.sum(), 1)
        return jnp.sqrt(square) * 255 / 2

    return error(predicted), error(last)
