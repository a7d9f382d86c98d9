"""The sampler on denoisers that can be solved by hand, and the training noise."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.config.schema import DiffusionSamplerConfig, SigmaDistributionConfig
from edeline_jax.replay.frame import quantize, to_float, to_uint8
from edeline_jax.world_model.edm import karras_sigmas, sample, sample_sigma

SAMPLER = DiffusionSamplerConfig(4, 2e-3, 5.0, 7.0, order=1, s_churn=0.0, s_tmin=0.01, s_tmax=2.0, s_noise=1.0)
SHAPE = (2, 3, 3, 1)


def to_a_point(noisy: jax.Array, sigma: jax.Array) -> jax.Array:
    return jnp.full_like(noisy, 0.25)


def gaussian(noisy: jax.Array, sigma: jax.Array) -> jax.Array:
    """The best denoiser of data ~ N(0, 1)."""
    return noisy / (1 + sigma[:, None, None, None] ** 2)


@pytest.mark.parametrize("order", [1, 2])
def test_all_noise_leads_to_the_only_image(order: int) -> None:
    """With D constant the flow is a straight line: x - D shrinks exactly as sigma does, in Euler and in Heun steps."""
    sampler = dataclasses.replace(SAMPLER, order=order)
    x = jax.random.normal(jax.random.key(0), SHAPE)
    trajectory = sample(to_a_point, x, sampler)
    sigmas = np.asarray(karras_sigmas(sampler))
    expected = 0.25 + (np.asarray(x) - 0.25) * (sigmas / sigmas[0])[:, None, None, None, None]
    np.testing.assert_allclose(trajectory, expected, rtol=1e-4, atol=1e-5)


def test_heun_is_of_second_order() -> None:
    """For data ~ N(0, 1) x scales with sqrt(1 + sigma^2): Heun comes closer than Euler."""
    x, errors = 3 * jnp.ones(SHAPE), []
    for order in (1, 2):
        sampler = dataclasses.replace(SAMPLER, order=order, num_steps_denoising=12)
        exact = 3 / np.sqrt(1 + 5.0**2)
        errors.append(float(jnp.abs(sample(gaussian, x, sampler)[-1] - exact).max()))
    assert errors[1] < errors[0] / 3


def algorithm_2(x: np.ndarray, sampler: DiffusionSamplerConfig, churn_noise: np.ndarray) -> np.ndarray:
    """EDM's algorithm 2 line by line, in float64, from x instead of a draw, for the data of `gaussian`."""
    n, rho = sampler.num_steps_denoising, sampler.rho
    high, low = sampler.sigma_max ** (1 / rho), sampler.sigma_min ** (1 / rho)
    t = [(high + i / (n - 1) * (low - high)) ** rho for i in range(n)] + [0.0]
    trajectory = [x.astype(np.float64)]
    for i in range(n):
        gamma = min(sampler.s_churn / n, 2**0.5 - 1) if sampler.s_tmin <= t[i] <= sampler.s_tmax else 0.0
        t_hat = t[i] + gamma * t[i]
        x_hat = trajectory[i] + (t_hat**2 - t[i] ** 2) ** 0.5 * sampler.s_noise * churn_noise[i]
        d = (x_hat - x_hat / (1 + t_hat**2)) / t_hat
        x_next = x_hat + (t[i + 1] - t_hat) * d
        if sampler.order == 2 and t[i + 1] != 0:
            d_next = (x_next - x_next / (1 + t[i + 1] ** 2)) / t[i + 1]
            x_next = x_hat + (t[i + 1] - t_hat) * (d / 2 + d_next / 2)
        trajectory.append(x_next)
    return np.stack(trajectory)


@pytest.mark.parametrize("s_churn", [0.0, 0.8])
@pytest.mark.parametrize(("order", "steps"), [(1, 3), (2, 5)])
def test_trajectories_are_those_of_the_papers_algorithm(order: int, steps: int, s_churn: float) -> None:
    sampler = dataclasses.replace(SAMPLER, order=order, num_steps_denoising=steps, s_churn=s_churn, s_noise=1.003)
    x, noise = jax.random.normal(jax.random.key(3), SHAPE), jax.random.normal(jax.random.key(4), (steps, *SHAPE))
    trajectory = sample(gaussian, x, sampler, noise if s_churn else None)
    expected = algorithm_2(np.asarray(x), sampler, np.asarray(noise))
    np.testing.assert_allclose(trajectory, expected, rtol=1e-5, atol=1e-6)


def test_churn_raises_sigma_where_it_may_and_adds_matching_noise() -> None:
    sampler = dataclasses.replace(SAMPLER, s_churn=0.8)
    seen = []

    def watching(noisy: jax.Array, sigma: jax.Array) -> jax.Array:
        jax.debug.callback(lambda s: seen.append(float(s)), sigma[0])
        return noisy  # a zero slope, so that x changes by churn alone

    noise = jax.random.normal(jax.random.key(1), (4, *SHAPE))
    trajectory = sample(watching, jnp.zeros(SHAPE), sampler, noise)
    jax.effects_barrier()
    sigmas = np.asarray(karras_sigmas(sampler), np.float64)[:-1]
    gamma = np.where((sigmas >= 0.01) & (sigmas <= 2.0), 0.2, 0.0)
    assert 0 < gamma.astype(bool).sum() < 4
    np.testing.assert_allclose(seen, sigmas * (1 + gamma), rtol=1e-5)
    added = np.asarray(noise) * np.sqrt((sigmas * (1 + gamma)) ** 2 - sigmas**2)[:, None, None, None, None]
    assert np.isfinite(added).all()
    np.testing.assert_allclose(trajectory[1:], np.cumsum(added, 0), rtol=1e-4, atol=1e-5)


def test_training_noise_is_log_normal_and_clipped() -> None:
    distribution = SigmaDistributionConfig(loc=-0.4, scale=1.2, sigma_min=0.05, sigma_max=3.0)
    sigma = np.asarray(sample_sigma(jax.random.key(2), (100_000,), distribution))
    assert sigma.min() == np.float32(0.05) and sigma.max() == np.float32(3.0)
    inside = np.log(sigma[(sigma > 0.05) & (sigma < 3.0)])
    np.testing.assert_allclose(np.median(np.log(sigma)), -0.4, atol=0.02)
    np.testing.assert_allclose(np.mean(np.abs(inside + 0.4) < 1.2), 0.6827 / 0.8787, atol=0.02)


def test_stored_frames_come_back_and_others_are_rounded_down() -> None:
    levels = jnp.arange(256, dtype=jnp.uint8)
    assert np.abs(np.asarray(to_uint8(to_float(levels)), int) - np.arange(256)).max() <= 1
    np.testing.assert_array_equal(to_uint8(jnp.array([-3.0, -1.0, -0.997, 0.0, 1.0, 2.0])), [0, 0, 0, 127, 255, 255])
    np.testing.assert_allclose(quantize(jnp.array([0.0])), 127 / 255 * 2 - 1, rtol=1e-6)
