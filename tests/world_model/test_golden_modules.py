"""Every array of modules.npz and sampler.npz, rel. 1e-4.

Quantised values are cut down to one of 256 levels. One that lies within that tolerance of an edge between two levels,
0.013 levels, may fall to either side ("flips"), and what is computed from it differs by more than rounding.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.actor_critic.network import ActorCritic
from edeline_jax.config.schema import DiffusionSamplerConfig
from edeline_jax.nn.layers import AdaGroupNorm, CrossAttention, ResBlock, SelfAttention
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.mamba import Mixer
from edeline_jax.nn.memory import Memory
from edeline_jax.nn.unet import UNet
from edeline_jax.replay.frame import quantize
from edeline_jax.world_model.edeline import Edeline
from edeline_jax.world_model.edm import conditioners, karras_sigmas, sample, sample_step
from tests.emitters import AS_IN_A_RUN
from tests.golden_data import assert_close, channels_last, config, load, params

pytestmark = pytest.mark.optimized
modules, sampler = load("modules"), load("sampler")
MODEL = Edeline(config().agent, 5)
INNER = config().agent.denoiser.inner_model
TOLERANCE = 1e-4 * 255 / 2  # in levels: 1e-4 of the largest magnitude, 1


def weights(*path: str) -> dict:
    tree = params()["world_model"]["params"]
    for key in path:
        tree = tree[key]
    return {"params": tree}


def image(name: str) -> np.ndarray:
    return channels_last(modules[name])


def past_frames(obs: np.ndarray) -> np.ndarray:
    """[B, L * 3, H, W] -> [B, L, H, W, 3]."""
    return channels_last(obs.reshape(len(obs), -1, 3, *obs.shape[2:]))


def levels(actual: jax.Array, expected: np.ndarray) -> np.ndarray:
    """Absolute differences in levels of 0..255."""
    return np.abs(np.asarray(actual) - expected) * 255 / 2


def sampler_config(steps: int, rho: float, order: int, sigma_max: float) -> DiffusionSamplerConfig:
    return DiffusionSamplerConfig(steps, 2e-3, sigma_max, rho, order, s_churn=0.0, s_tmin=0.0, s_tmax=1e6, s_noise=1.0)


def test_conditioners() -> None:
    got = conditioners(jnp.asarray(modules["cond_sigma"]), 0.5, 0.3)
    for name, value in got._asdict().items():
        assert_close(value, modules[f"cond_{name}"])


def test_karras_sigmas() -> None:
    assert_close(karras_sigmas(sampler_config(3, 7.0, 1, 5.0)), modules["sigmas_3"], 1e-6)
    assert_close(karras_sigmas(sampler_config(10, 5.0, 1, 20.0)), modules["sigmas_10"], 1e-6)


def test_unet(form: str) -> None:
    unet = UNet(INNER.channels, INNER.depths, INNER.attn_depths)
    got = unet.apply(weights("denoiser", "inner_model", "unet"), image("unet_in"), modules["unet_cond"])
    assert_close(got, image("unet_out"))


def test_middle_block_and_its_parts(form: str) -> None:
    block = ("denoiser", "inner_model", "unet", "mid_blocks", "resblocks_0")
    x, cond = image("mid0_in"), modules["unet_cond"]
    assert_close(AdaGroupNorm().apply(weights(*block, "norm1"), (x,), cond), image("mid0_norm1_out"))
    assert_close(SelfAttention().apply(weights(*block, "attn"), x), image("mid0_self_attn_out"))
    assert_close(CrossAttention().apply(weights(*block, "cross_attn"), x, cond), image("mid0_cross_attn_out"))
    assert_close(ResBlock(64, attention=True).apply(weights(*block), x, cond), image("mid0_out"))


def test_denoiser(form: str) -> None:
    F, denoised = MODEL.apply(
        params()["world_model"],
        past_frames(modules["denoiser_obs"]),
        image("denoiser_noisy"),
        modules["denoiser_sigma"],
        modules["denoiser_emb"],
        method="denoise",
    )
    assert_close(F, image("denoiser_model_output"))
    assert_close(denoised, image("denoiser_denoised"))
    error = levels(quantize(denoised), image("denoiser_quantized"))
    exact = (image("denoiser_denoised") + 1) * 255 / 2
    may_flip = np.abs(exact - np.round(exact)) < TOLERANCE
    assert error.max() < 1.01 and error[~may_flip].max() < 1e-2


@pytest.mark.parametrize("steps", [11, 1], ids=["at once", "step by step"])
def test_mamba(steps: int) -> None:
    caches, outputs = MODEL.init_memory(3), []
    apply = jax.jit(Memory(config().agent.recurrent_emb).apply, compiler_options=AS_IN_A_RUN)
    for t in range(0, 11, steps):
        y, caches = apply(weights("recurrent_emb", "mamba"), modules["mamba_in"][:, t : t + steps], caches)
        outputs.append(y)
    got = np.concatenate(outputs, 1)
    assert_close(got, modules["mamba_out"])
    assert_close(got, modules["mamba_step_out"])
    for i, cache in enumerate(caches):
        assert_close(cache.s, modules[f"mamba_cache{i}_h"])
        assert_close(cache.conv, modules[f"mamba_cache{i}_conv"].transpose(0, 2, 1))


def test_mamba_mixer() -> None:
    mixer, cache = Mixer(config().agent.recurrent_emb.mamba), MODEL.init_memory(3)[0]
    got, _ = mixer.apply(weights("recurrent_emb", "mamba", "layers_0", "mixer"), modules["mamba_in"], cache, None)
    assert_close(got, modules["mamba_block0_out"])


def test_memory_and_heads(form: str) -> None:
    frames, actions = channels_last(modules["rem_obs"]), modules["rem_act"]
    h, _ = MODEL.apply(params()["world_model"], frames, actions, MODEL.init_memory(3), method="embed")
    assert_close(h, modules["rem_out"])
    reward, end = MODEL.apply(params()["world_model"], modules["rem_out"], method="outcome_logits")
    assert_close(reward, modules["rew_logits"])
    assert_close(end, modules["end_logits"])


def test_actor_critic_step(form: str) -> None:
    state = LSTMState(modules["ac_hx"], modules["ac_cx"])
    network = ActorCritic(config().agent, 5)
    logits, value, state = network.apply(params()["actor_critic"], image("ac_obs"), state)
    assert_close(logits, modules["ac_logits"])
    assert_close(value, modules["ac_value"])
    assert_close(state.hx, modules["ac_hx_out"])
    assert_close(state.cx, modules["ac_cx_out"])


def golden_denoise(noisy: jax.Array, sigma: jax.Array) -> jax.Array:
    context = channels_last(sampler["frames"])
    return quantize(MODEL.apply(params()["world_model"], context, noisy, sigma, sampler["emb"], method="denoise")[1])


@pytest.mark.parametrize(("name", "steps", "order"), [("euler3", 3, 1), ("heun5", 5, 2)])
def test_sampler(form: str, name: str, steps: int, order: int) -> None:
    """Later steps spread what a flip changes: most values must be right, and the steps, below, are held closer.

    With weights off by 1e-6 and 1e-5 of their size, 99 % and 96 % of the Heun trajectory stay within 0.01 levels, and
    the mean error is 0.02 and 0.1 levels.
    """
    x, expected = channels_last(sampler[f"{name}_x_init"]), channels_last(sampler[f"{name}_trajectory"])
    config = sampler_config(steps, 7.0, order, 5.0)
    trajectory = jax.jit(lambda x: sample(golden_denoise, x, config), compiler_options=AS_IN_A_RUN)(x)
    assert_close(trajectory[0], expected[0])
    error = levels(trajectory[1:], expected[1:])
    assert (error < 1e-2).mean() > 0.95 and error.mean() < 0.2
    assert levels(trajectory[-1], channels_last(sampler[f"{name}_out"])).mean() < 0.5


@pytest.mark.parametrize(("name", "steps", "order"), [("euler3", 3, 1), ("heun5", 5, 2)])
def test_every_step_of_the_sampler(form: str, name: str, steps: int, order: int) -> None:
    """From the recorded states, so that no flip of an earlier step blurs the comparison."""
    config, recorded = sampler_config(steps, 7.0, order, 5.0), channels_last(sampler[f"{name}_trajectory"])
    step = functools.partial(sample_step, golden_denoise, noise=None, sampler=config)
    step = jax.jit(step, compiler_options=AS_IN_A_RUN)
    sigmas = karras_sigmas(config)
    for i in range(steps):
        error = levels(step(recorded[i], sigmas[i], sigmas[i + 1], i == steps - 1), recorded[i + 1])
        evaluations = 1 if i == steps - 1 else order
        # one flipped level moves an Euler step by less than a level; one in each evaluation of a Heun step moves it by
        # less than sigma / next_sigma levels
        flip = 1.01 if evaluations == 1 else float(sigmas[i] / sigmas[i + 1])
        assert (error < 1e-2).mean() > 1 - 2 * TOLERANCE * evaluations and error.max() < flip, f"step {i}"
