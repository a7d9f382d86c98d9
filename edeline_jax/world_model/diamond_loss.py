"""DIAMOND's loss: that of the denoiser and that of the reward-and-end model, which learn from segments of their own.

As for EDELINE, it is one device's share, divided by the counts of the whole batch.
"""

from typing import NamedTuple

import chex
import jax

from edeline_jax.config.schema import WorldModelLossConfig
from edeline_jax.nn.params import Params
from edeline_jax.replay.frame import quantize
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model.diamond import Diamond
from edeline_jax.world_model.loss import (
    BatchCounts,
    LossDraws,
    burnt_in,
    count_targets,
    denoising_errors,
    outcome_losses,
)


class Lessons(NamedTuple):
    """The batch of an update, for each of the two networks."""

    denoising: Segment  # B segments of L + P steps
    outcomes: Segment  # B segments of T steps behind a burn-in; the frame behind an end is what the end's action led to


def count_lessons(batch: Lessons, draws: LossDraws, context: int, burn_in: int) -> BatchCounts:
    """This device's counts; summed over the devices they are the batch's. A segment has T - 1 pairs of frames."""
    own = count_targets(batch.denoising.mask, draws, context)
    return own._replace(steps=batch.outcomes.mask[:, burn_in:-1].sum().astype(own.steps.dtype))


def diamond_loss(
    params: Params,
    model: Diamond,
    batch: Lessons,
    draws: LossDraws,
    counts: BatchCounts,
    config: WorldModelLossConfig,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """This device's share of the loss and of its metrics; see `world_model_loss`. All targets are used: start is 0."""
    x, L, P = batch.denoising, model.context, len(draws.sigma)
    chex.assert_axis_dimension(x.frames, 1, L + P)
    conditions = [x.actions[:, p : p + L] for p in range(P)]
    errors = denoising_errors(params, model, x.frames, x.mask, conditions, draws, counts, quantize)
    loss_denoising = sum(errors) / P
    memory, segments = burnt_in(params, model, batch.outcomes, config)
    steps = jax.tree.map(lambda x: x[:, :-1], segments)
    pairs = steps.frames, steps.actions, segments.frames[:, 1:]
    *logits, _ = model.apply(params, *pairs, memory.lstm, method="outcomes")
    loss_rew, loss_end, metrics = outcome_losses(model.reward, *logits, steps, counts)
    loss = loss_denoising + loss_rew + loss_end
    return loss, {"loss_world_model": loss, "loss_denoising": loss_denoising, **metrics}
