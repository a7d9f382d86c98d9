"""Predicts real experience with the world model: one frame ahead, or a whole sequence from its recorded actions."""

import jax
import jax.numpy as jnp

from edeline_jax.config.schema import WorldModelEnvConfig
from edeline_jax.nn.params import Params
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model.imagination import ImaginationState, advance, draw_step, reset
from edeline_jax.world_model.model import WorldModel


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
    state = reset(params, model, jax.tree.map(lambda x: x[:, :L], segment))
    batch = len(segment.actions)
    frame_shape = segment.frames.shape[2:]

    def step(state: ImaginationState, inputs: tuple) -> tuple[ImaginationState, jax.Array]:
        action, key = inputs
        draws = draw_step(key, frame_shape, batch, config)
        state, _ = advance(params, model, state, action, draws, config)
        return state, state.frames[:, -1]

    actions = segment.actions[:, L - 1 : -1].T
    keys = jax.random.split(key, len(actions))
    _, frames = jax.lax.scan(step, state, (actions, keys))
    return frames.swapaxes(0, 1)


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
