"""EDELINE's loss (section 3.3), and what DIAMOND's has in common with it.

Reward and termination cross-entropies, denoising of consecutive frames, harmonizers.

The loss is computed for one device's share of a batch but divides by the counts of the whole batch, so that losses,
metrics and gradients summed over the devices are those of the whole batch.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from edeline_jax.config.schema import WorldModelLossConfig
from edeline_jax.nn.params import Params
from edeline_jax.replay.reward import SIGNS, RewardHead
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model.edeline import Edeline
from edeline_jax.world_model.edm import conditioners, sample_sigma
from edeline_jax.world_model.heads import END_CLASSES
from edeline_jax.world_model.model import Memory, WorldModel


class LossDraws(NamedTuple):
    """The random numbers of one loss; P passes (consecutive targets).

    start is the same for the whole batch, on all devices; the others differ per sample.
    """

    start: jax.Array  # int32 [], first conditioning frame
    sigma: jax.Array  # [P, B]
    offset_noise: jax.Array  # N(0, 1) [P, B, 1, 1, C]
    noise: jax.Array  # N(0, 1) [P, B, H, W, C]


class BatchCounts(NamedTuple):
    """Denominators of the loss's means: counts of the whole batch, over all devices; float32."""

    steps: jax.Array  # [], valid steps with a reward and an end
    targets: jax.Array  # [P], valid targets of each pass
    devices: jax.Array | int  # []


def draw_loss(
    shared_key: jax.Array, key: jax.Array, frames_shape: tuple[int, ...], context: int, config: WorldModelLossConfig
) -> LossDraws:
    """Draws the random numbers of one loss; `frames_shape` is [B, T, H, W, C].

    Both keys are consumed; `shared_key` must be equal on all devices.
    """
    B, T, H, W, C = frames_shape
    passes = 1 + config.num_autoregressive_steps
    sigma_key, offset_key, noise_key = jax.random.split(key, 3)
    return LossDraws(
        start=jax.random.randint(shared_key, (), 0, T - context - passes + 1),
        sigma=sample_sigma(sigma_key, (passes, B), config.sigma_distribution),
        offset_noise=jax.random.normal(offset_key, (passes, B, 1, 1, C)),
        noise=jax.random.normal(noise_key, (passes, B, H, W, C)),
    )


def count_targets(mask: jax.Array, draws: LossDraws, context: int) -> BatchCounts:
    """This device's counts for a batch with `mask` [B, T]; summed over the devices they are the batch's."""
    mask, passes = mask.astype(jnp.float32), len(draws.sigma)
    targets = jax.lax.dynamic_slice_in_dim(mask, draws.start + context, passes, 1)
    return BatchCounts(mask.sum(), targets.sum(0), 1)


def world_model_loss(
    params: Params,
    model: Edeline,
    batch: Segment,
    draws: LossDraws,
    counts: BatchCounts,
    config: WorldModelLossConfig,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """This device's share of the loss and of its metrics.

    Args:
      params: of `model`.
      batch: B segments of at least L + P steps, each behind its `config.burn_in` steps.
      draws: see `LossDraws`.
      counts: `count_targets` summed over the devices; with this device's own counts the share is the whole loss.

    Returns:
      The loss [] and metrics; their sums over the devices are the batch's.
    """
    memory, batch = burnt_in(params, model, batch, config)
    (B, T, *frame), P = batch.frames.shape, len(draws.sigma)
    chex.assert_tree_shape_prefix(batch, (B, T))
    chex.assert_tree_shape_prefix(draws._replace(start=None), (P, B))
    chex.assert_shape([draws.noise, counts.targets], [(P, B, *frame), (P,)], custom_message="noise, targets")
    chex.assert_shape([draws.start, counts.steps], (), custom_message="start, steps")
    h, _ = model.apply(params, batch.frames, batch.actions, memory, method="embed")
    reward_logits, end_logits = model.apply(params, h, method="outcome_logits")
    loss_rew, loss_end, metrics = outcome_losses(model.reward, reward_logits, end_logits, batch, counts)
    loss_obs = _denoising_loss(params, model, batch, h, draws, counts)
    metrics["loss_denoising"] = loss_obs
    if not config.harmony:
        loss = loss_rew + loss_obs + loss_end
        return loss, {"loss_world_model": loss, **metrics}
    s1, s2 = params["params"]["harmony_s1"], params["params"]["harmony_s2"]
    base = jnp.log1p(jnp.exp(s1)) + jnp.log1p(jnp.exp(s2))
    # terms that do not depend on samples must count once, not once per device
    harmonized_rew, harmonized_obs = loss_rew * jnp.exp(-s1), loss_obs * jnp.exp(-s2)
    loss = harmonized_rew + harmonized_obs + loss_end + base / counts.devices
    harmony = {
        "harmonized_rew": harmonized_rew,
        "harmonized_denoising": harmonized_obs,
        "harmony_s1": s1 / counts.devices,
        "harmony_s2": s2 / counts.devices,
    }
    return loss, {"loss_world_model": loss, **metrics, **harmony}


def burnt_in(params: Params, model: WorldModel, batch: Segment, config: WorldModelLossConfig) -> tuple[Memory, Segment]:
    """The memory at the beginning of the segments, without gradient, and the segments.

    As in R2D2 (Kapturowski et al., 2019, section 3). The memory does not move before the episode's first step; padding
    in a segment is a step like any other.

    Args:
      batch: segments of T steps, each behind its burn-in, [B, burn_in + T].
    """
    n = config.burn_in
    if n == 0:
        return model.init_memory(len(batch.actions)), batch
    seen = jax.tree.map(lambda x: x[:, : n + 1], batch)  # with the frame that the last action led to
    constant = jax.lax.stop_gradient(params)
    _, memory = model.apply(constant, seen.frames, seen.actions, seen.mask, method="burn_in")
    return memory, jax.tree.map(lambda x: x[:, n:], batch)


def outcome_losses(
    head: RewardHead, reward_logits: jax.Array, end_logits: jax.Array, batch: Segment, counts: BatchCounts
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """This device's shares of the losses of rewards and ends, and of their metrics.

    Args:
      head: what the reward's logits mean.
      reward_logits, end_logits: of every step of the batch.
    """
    end_classes = batch.ends.astype(jnp.int32)
    loss_rew = _mean(head.loss(reward_logits, batch.rewards), batch.mask, counts.steps)
    loss_end = _mean(optax.softmax_cross_entropy_with_integer_labels(end_logits, end_classes), batch.mask, counts.steps)
    signs = head.signs(batch.rewards) + 1
    metrics = {
        "loss_rew": loss_rew,
        "loss_end": loss_end,
        "confusion_rew": _confusion(head.sign_logits(reward_logits), signs, batch.mask, SIGNS),
        "confusion_end": _confusion(end_logits, end_classes, batch.mask, END_CLASSES),
    }
    errors = head.errors(reward_logits, batch.rewards)
    return loss_rew, loss_end, metrics | {name: _mean(x, batch.mask, counts.steps) for name, x in errors.items()}


def _denoising_loss(
    params: Params, model: Edeline, batch: Segment, h: jax.Array, draws: LossDraws, counts: BatchCounts
) -> jax.Array:
    """Mean over passes that have a target of the denoising error; pass p denoises frame start + L + p."""
    L, passes = model.config.denoiser.inner_model.num_steps_conditioning, len(draws.sigma)
    slices = [jax.lax.dynamic_slice_in_dim(x, draws.start, L + passes, 1) for x in (batch.frames, batch.mask, h)]
    frames, mask, h = slices
    conditions = [h[:, L + p - 1] for p in range(passes)]
    errors = denoising_errors(params, model, frames, mask, conditions, draws, counts, lambda x: jnp.clip(x, -1, 1))
    return sum(errors) / jnp.maximum((counts.targets > 0).sum(), 1)


def denoising_errors(
    params: Params,
    model: WorldModel,
    frames: jax.Array,
    mask: jax.Array,
    conditions: Sequence[jax.Array],
    draws: LossDraws,
    counts: BatchCounts,
    as_frame: Callable[[jax.Array], jax.Array],
) -> list[jax.Array]:
    """This device's shares of the P passes' mean denoising errors.

    Pass p denoises frame L + p; its context contains the model's own predictions from earlier passes.

    Args:
      frames: float32 [B, L + P, H, W, C].
      mask: bool [B, L + P].
      conditions: those of each pass.
      as_frame: what a later pass sees of a prediction.
    """
    c = model.config.denoiser
    L = c.inner_model.num_steps_conditioning
    context, errors = frames[:, :L], []
    for p, condition in enumerate(conditions):
        target, sigma = frames[:, L + p], draws.sigma[p]
        noisy = target + c.sigma_offset_noise * draws.offset_noise[p] + sigma[:, None, None, None] * draws.noise[p]
        F, denoised = model.apply(params, context, noisy, sigma, condition, method="denoise")
        scale = conditioners(sigma[:, None, None, None], c.sigma_data, c.sigma_offset_noise)
        error = jnp.square(F - (target - scale.c_skip * noisy) / scale.c_out).mean((1, 2, 3))
        errors.append(_mean(error, mask[:, L + p], counts.targets[p]))
        prediction = jax.lax.stop_gradient(as_frame(denoised))
        context = jnp.concatenate([context[:, 1:], prediction[:, None]], 1)
    return errors


def _mean(x: jax.Array, mask: jax.Array, count: jax.Array) -> jax.Array:
    """This device's share of the mean of x over the mask; `count` is the mask's size on all devices; 0 if empty."""
    return jnp.where(mask, x, 0.0).sum() / jnp.maximum(count, 1)


def _confusion(logits: jax.Array, classes: jax.Array, mask: jax.Array, num_classes: int) -> jax.Array:
    """The confusion matrix [true class, predicted class] over the mask; int32."""
    predicted = jnp.argmax(logits, -1)
    return jnp.zeros((num_classes, num_classes), jnp.int32).at[classes, predicted].add(mask.astype(jnp.int32))
