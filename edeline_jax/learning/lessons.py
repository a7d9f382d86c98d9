"""What each kind of world model learns from, and by which loss."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.sampling import segment_places, start_places
from edeline_jax.replay.segment import Segment, Steps, segments, segments_to_finals, segments_with_finals
from edeline_jax.world_model.diamond import Diamond
from edeline_jax.world_model.diamond_loss import Lessons, count_lessons, diamond_loss
from edeline_jax.world_model.loss import BatchCounts, LossDraws, count_targets, draw_loss, world_model_loss


class Teaching(NamedTuple):
    """The functions that make an update of a world model.

    places: (replay, key, setup) -> where this device's segments and their burn-ins lie; a tree of `Places`. The key is
      consumed.
    batch: (the steps there, setup) -> what the loss learns from.
    draw: (shared key, key, batch, setup) -> the loss's random numbers; see `draw_loss`.
    count: (batch, draws, setup) -> this device's counts.
    loss: (params, batch, draws, counts, setup) -> this device's shares of the loss and of its metrics.
    """

    places: Callable[[Replay, jax.Array, Setup], Any]
    batch: Callable[[Any, Setup], Any]
    draw: Callable[[jax.Array, jax.Array, Any, Setup], LossDraws]
    count: Callable[[Any, LossDraws, Setup], BatchCounts]
    loss: Callable[[Params, Any, LossDraws, BatchCounts, Setup], tuple[jax.Array, dict[str, jax.Array]]]


def teaching(setup: Setup) -> Teaching:
    """That of the setup's world model."""
    return DIAMOND if isinstance(setup.agent.world_model, Diamond) else EDELINE


def _edeline_places(replay: Replay, key: jax.Array, setup: Setup) -> Any:
    c, T = setup.world_model, setup.segment_length
    return segment_places(replay, key, setup.share(c.batch_size), T, c.loss.burn_in + T, c.sample_weights)


def _edeline_batch(steps: Steps, setup: Setup) -> Segment:
    return segments(steps, setup.frame_shape)


def _edeline_draws(shared_key: jax.Array, key: jax.Array, batch: Segment, setup: Setup) -> LossDraws:
    loss = setup.world_model.loss
    return draw_loss(shared_key, key, batch.frames[:, loss.burn_in :].shape, setup.context, loss)


def _edeline_counts(batch: Segment, draws: LossDraws, setup: Setup) -> BatchCounts:
    return count_targets(batch.mask[:, setup.world_model.loss.burn_in :], draws, setup.context)


def _edeline_loss(
    params: Params, batch: Segment, draws: LossDraws, counts: BatchCounts, setup: Setup
) -> tuple[jax.Array, dict[str, jax.Array]]:
    return world_model_loss(params, setup.agent.world_model, batch, draws, counts, setup.world_model.loss)


def _diamond_places(replay: Replay, key: jax.Array, setup: Setup) -> Lessons:
    """Segments to denoise may hang over the front only, like starts; where finals are kept, they may stop at one."""
    c, T = setup.world_model, setup.segment_length
    size, length = setup.share(c.batch_size), setup.context + 1 + c.loss.num_autoregressive_steps
    denoising_key, outcomes_key = jax.random.split(key)
    return Lessons(
        start_places(replay, denoising_key, size, length, length, c.sample_weights, int(setup.keeps_finals)),
        segment_places(replay, outcomes_key, size, T, c.loss.burn_in + T, c.sample_weights),
    )


def _diamond_batch(steps: Lessons, setup: Setup) -> Lessons:
    denoised = segments_to_finals if setup.keeps_finals else segments
    return Lessons(
        denoised(steps.denoising, setup.frame_shape), segments_with_finals(steps.outcomes, setup.frame_shape)
    )


def _diamond_draws(shared_key: jax.Array, key: jax.Array, batch: Lessons, setup: Setup) -> LossDraws:
    return draw_loss(shared_key, key, batch.denoising.frames.shape, setup.context, setup.world_model.loss)


def _diamond_counts(batch: Lessons, draws: LossDraws, setup: Setup) -> BatchCounts:
    return count_lessons(batch, draws, setup.context, setup.world_model.loss.burn_in)


def _diamond_loss(
    params: Params, batch: Lessons, draws: LossDraws, counts: BatchCounts, setup: Setup
) -> tuple[jax.Array, dict[str, jax.Array]]:
    return diamond_loss(params, setup.agent.world_model, batch, draws, counts, setup.world_model.loss)


EDELINE = Teaching(_edeline_places, _edeline_batch, _edeline_draws, _edeline_counts, _edeline_loss)
DIAMOND = Teaching(_diamond_places, _diamond_batch, _diamond_draws, _diamond_counts, _diamond_loss)
