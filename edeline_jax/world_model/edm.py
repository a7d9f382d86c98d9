"""EDM diffusion in the paper's symbols: preconditioning, noise, schedule and sampler.

Karras et al. 2022, "EDM"; EDELINE, section 3.

Images are float32 [B, H, W, C] in [-1, 1]; sigma is [B] unless said otherwise.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from edeline_jax.config.schema import DiffusionSamplerConfig, SigmaDistributionConfig

Denoise = Callable[
    [jax.Array, jax.Array], jax.Array
]  # (noisy [B, H, W, C], sigma [B]) -> denoised, clamped and quantised


class Conditioners(NamedTuple):
    """EDM, table 1; c_noise is the noise level that the network is given. All have sigma's shape."""

    c_in: jax.Array
    c_out: jax.Array
    c_skip: jax.Array
    c_noise: jax.Array


def conditioners(sigma: jax.Array, sigma_data: float, sigma_offset_noise: float) -> Conditioners:
    """The preconditioning at sigma, including offset noise: sigma'^2 = sigma^2 + sigma_offset_noise^2."""
    sigma = jnp.sqrt(sigma**2 + sigma_offset_noise**2)
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    return Conditioners(
        c_in=1 / jnp.sqrt(sigma**2 + sigma_data**2),
        c_out=sigma * jnp.sqrt(c_skip),
        c_skip=c_skip,
        c_noise=jnp.log(sigma) / 4,
    )


def sample_sigma(key: jax.Array, shape: tuple[int, ...], distribution: SigmaDistributionConfig) -> jax.Array:
    """ln sigma ~ N(loc, scale^2), clipped to [sigma_min, sigma_max]. The key is consumed."""
    sigma = jnp.exp(distribution.loc + distribution.scale * jax.random.normal(key, shape))
    return jnp.clip(sigma, distribution.sigma_min, distribution.sigma_max)


def karras_sigmas(sampler: DiffusionSamplerConfig) -> jax.Array:
    """The sampler's noise levels, from sigma_max down to sigma_min, then 0 (EDM, eq. 5); [num_steps + 1]."""
    ramp = jnp.linspace(0, 1, sampler.num_steps_denoising)
    low, high = sampler.sigma_min ** (1 / sampler.rho), sampler.sigma_max ** (1 / sampler.rho)
    return jnp.append((high + ramp * (low - high)) ** sampler.rho, 0.0)


def sample(
    denoise: Denoise, x: jax.Array, sampler: DiffusionSamplerConfig, churn_noise: jax.Array | None = None
) -> jax.Array:
    """Denoises x ~ N(0, 1) into an image (EDM, algorithm 2).

    Args:
      denoise: the denoiser.
      x: start, [B, H, W, C]; not scaled by sigma_max, as in the reference.
      sampler: order 1 is Euler, 2 is Heun.
      churn_noise: N(0, 1) [num_steps, B, H, W, C]; needed if s_churn > 0.

    Returns:
      The start and x after every step, [num_steps + 1, B, H, W, C]; the last is the image.
    """
    chex.assert_rank(x, 4, custom_message="x")
    if churn_noise is not None:
        chex.assert_shape(churn_noise, (sampler.num_steps_denoising, *x.shape), custom_message="churn_noise")
    sigmas = karras_sigmas(sampler)
    last = jnp.arange(sampler.num_steps_denoising) == sampler.num_steps_denoising - 1
    steps = (sigmas[:-1], sigmas[1:], last, churn_noise)

    def step(x: jax.Array, inputs: tuple) -> tuple[jax.Array, jax.Array]:
        sigma, next_sigma, is_last, noise = inputs
        x = sample_step(denoise, x, sigma, next_sigma, is_last, noise, sampler)
        return x, x

    _, trajectory = jax.lax.scan(step, x, steps)
    return jnp.concatenate([x[None], trajectory])


def sample_step(
    denoise: Denoise,
    x: jax.Array,
    sigma: jax.Array,
    next_sigma: jax.Array,
    is_last: jax.Array,
    noise: jax.Array | None,
    sampler: DiffusionSamplerConfig,
) -> jax.Array:
    """One step of `sample`, from noise level `sigma` [] to `next_sigma` []; `is_last` [] if `next_sigma` is 0."""
    sigma_hat = sigma
    if noise is not None:
        gamma = min(sampler.s_churn / sampler.num_steps_denoising, 2**0.5 - 1)
        gamma = jnp.where((sampler.s_tmin <= sigma) & (sigma <= sampler.s_tmax), gamma, 0.0)
        sigma_hat = sigma * (1 + gamma)
        # sqrt(sigma_hat^2 - sigma^2) without the difference, which rounds to less than 0 when gamma is 0
        x += sampler.s_noise * noise * sigma * jnp.sqrt(gamma * (2 + gamma))
    batch = jnp.ones(x.shape[0])
    slope = (x - denoise(x, sigma_hat * batch)) / sigma_hat
    euler = x + (next_sigma - sigma_hat) * slope
    if sampler.order == 1:
        return euler

    def heun() -> jax.Array:
        next_slope = (euler - denoise(euler, next_sigma * batch)) / next_sigma
        return x + (next_sigma - sigma_hat) * (slope + next_slope) / 2

    return jax.lax.cond(is_last, lambda: euler, heun)
