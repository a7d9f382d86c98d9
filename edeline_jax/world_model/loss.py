"""The world model's loss (EDELINE, section 3.3).

Reward and termination cross-entropies, denoising of consecutive frames, harmonizers.

The loss is written for one device's share of a batch: with `axis_name`, the sum over the axis of what it returns, and
of its gradients, is the loss of the whole batch. Without, the share is the batch.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from edeline_jax.config.schema import WorldModelLossConfig
from edeline_jax.nn.params import Params
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model.edm import conditioners, sample_sigma
from edeline_jax.world_model.heads import END_CLASSES, REWARD_SIGNS
from edeline_jax.world_model.model import WorldModel


class LossDraws(NamedTuple):
    """The random numbers of one loss; P passes (consecutive targets).

    start is one for the whole batch, on all devices; the rest belongs to the samples.
    """

    start: jax.Array  # int32 [], first conditioning frame
    sigma: jax.Array  # [P, B]
    offset_noise: jax.Array  # N(0, 1) [P, B, 1, 1, C]
    noise: jax.Array  # N(0, 1) [P, B, H, W, C]


def draw_loss(
    shared_key: jax.Array, key: jax.Array, frames_shape: tuple[int, ...], context: int, config: WorldModelLossConfig
) -> LossDraws:
    """Draws for frames of shape [B, T, H, W, C]. Both keys are consumed; `shared_key` must be equal on all devices."""
    B, T, H, W, C = frames_shape
    passes = 1 + config.num_autoregressive_steps
    sigma_key, offset_key, noise_key = jax.random.split(key, 3)
    return LossDraws(
        start=jax.random.randint(shared_key, (), 0, T - context - passes + 1),
        sigma=sample_sigma(sigma_key, (passes, B), config.sigma_distribution),
        offset_noise=jax.random.normal(offset_key, (passes, B, 1, 1, C)),
        noise=jax.random.normal(noise_key, (passes, B, H, W, C)),
    )


def world_model_loss(
    params: Params,
    model: WorldModel,
    batch: Segment,
    draws: LossDraws,
    config: WorldModelLossConfig,
    axis_name: str | None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """This device's share of the loss, and of its metrics.

    Args:
      params: of `model`.
      batch: B segments of at least L + P steps.
      draws: see `LossDraws`.
      axis_name: the mapped axis over which shares add up; None for a single device.

    Returns:
      The loss [] and metrics; sums over the axis give the batch's.
    """
    h, _ = model.apply(params, batch.frames, batch.actions, model.init_cache(len(batch.actions)), method="embed")
    reward_logits, end_logits = model.apply(params, h, method="outcome_logits")
    reward_classes = jnp.sign(batch.rewards).astype(jnp.int32) + 1
    end_classes = batch.ends.astype(jnp.int32)
    loss_rew = _mean(_cross_entropy(reward_logits, reward_classes), batch.mask, axis_name)
    loss_end = _mean(_cross_entropy(end_logits, end_classes), batch.mask, axis_name)
    loss_obs = _denoising_loss(params, model, batch, h, draws, axis_name)
    loss, harmony = _harmonize(params["params"], loss_rew, loss_obs, loss_end, config.harmony, axis_name)
    metrics = {
        "loss_world_model": loss,
        "loss_rew": loss_rew,
        "loss_denoising": loss_obs,
        "loss_end": loss_end,
        "confusion_rew": _confusion(reward_logits, reward_classes, batch.mask, REWARD_SIGNS),
        "confusion_end": _confusion(end_logits, end_classes, batch.mask, END_CLASSES),
        **harmony,
    }
    return loss, metrics


def _denoising_loss(
    params: Params, model: WorldModel, batch: Segment, h: jax.Array, draws: LossDraws, axis_name: str | None
) -> jax.Array:
    """Mean over passes of the denoising error.

    Pass p denoises frame start + L + p, after the model's own frames of earlier passes.
    """
    c = model.config.denoiser
    L, passes = c.inner_model.num_steps_conditioning, len(draws.sigma)
    slices = [jax.lax.dynamic_slice_in_dim(x, draws.start, L + passes, 1) for x in (batch.frames, batch.mask, h)]
    frames, mask, h = slices
    context, total, valid_passes = frames[:, :L], 0.0, 0.0
    for p in range(passes):
        target, sigma = frames[:, L + p], draws.sigma[p]
        noisy = target + c.sigma_offset_noise * draws.offset_noise[p] + sigma[:, None, None, None] * draws.noise[p]
        F, denoised = model.apply(params, context, noisy, sigma, h[:, L + p - 1], method="denoise")
        scale = conditioners(sigma[:, None, None, None], c.sigma_data, c.sigma_offset_noise)
        error = jnp.square(F - (target - scale.c_skip * noisy) / scale.c_out).mean((1, 2, 3))
        total += _mean(error, mask[:, L + p], axis_name)
        valid_passes += _total(mask[:, L + p].any(), axis_name) > 0
        prediction = jax.lax.stop_gradient(jnp.clip(denoised, -1, 1))
        context = jnp.concatenate([context[:, 1:], prediction[:, None]], 1)
    return total / jnp.maximum(valid_passes, 1)


def _harmonize(
    params: Params, loss_rew: jax.Array, loss_obs: jax.Array, loss_end: jax.Array, harmony: bool, axis_name: str | None
) -> tuple[jax.Array, dict[str, jax.Array]]:
    if not harmony:
        return loss_rew + loss_obs + loss_end, {}
    s1, s2 = params["harmony_s1"], params["harmony_s2"]
    share = 1 if axis_name is None else 1 / jax.lax.axis_size(axis_name)  # these terms count once, not once per device
    base = jnp.log1p(jnp.exp(s1)) + jnp.log1p(jnp.exp(s2))
    loss = loss_rew * jnp.exp(-s1) + loss_obs * jnp.exp(-s2) + loss_end + share * base
    return loss, {"harmony_s1": share * s1, "harmony_s2": share * s2}


def _total(x: jax.Array, axis_name: str | None) -> jax.Array:
    x = x.astype(jnp.float32)
    return x if axis_name is None else jax.lax.psum(x, axis_name)


def _mean(x: jax.Array, mask: jax.Array, axis_name: str | None) -> jax.Array:
    """This device's share of the mean of x where mask, over all devices; 0 where the mask is empty."""
    return jnp.where(mask, x, 0.0).sum() / jnp.maximum(_total(mask.sum(), axis_name), 1)


def _cross_entropy(logits: jax.Array, classes: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, classes)


def _confusion(logits: jax.Array, classes: jax.Array, mask: jax.Array, num_classes: int) -> jax.Array:
    """Counts [true class, predicted class] over the mask; int32."""
    predicted = jnp.argmax(logits, -1)
    return jnp.zeros((num_classes, num_classes), jnp.int32).at[classes, predicted].add(mask.astype(jnp.int32))
