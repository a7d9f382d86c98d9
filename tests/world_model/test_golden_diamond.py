"""Every array of golden/diamond/small/modules.npz."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.actor_critic.network import ActorCritic
from edeline_jax.agent.networks import build_agent
from edeline_jax.nn.layers import ResBlock
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.unet import UNet
from edeline_jax.replay.frame import quantize
from edeline_jax.world_model.edm import karras_sigmas, sample, sample_step
from tests.diamond_data import config, frames, load, params
from tests.emitters import AS_IN_A_RUN
from tests.golden_data import assert_close, channels_last

pytestmark = pytest.mark.optimized
modules = load("modules")
MODEL = build_agent(config(), 5).world_model
INNER, SAMPLER = config().agent.denoiser.inner_model, config().world_model_env.diffusion_sampler
CONTEXT, ACTIONS = channels_last(modules["denoiser_obs"]), modules["denoiser_act"]


def weights(*path: str) -> dict:
    tree = params()["world_model"]["params"]
    for key in path:
        tree = tree[key]
    return {"params": tree}


def image(name: str) -> np.ndarray:
    return channels_last(modules[name])


def assert_levels(actual: jax.Array, levels: np.ndarray) -> None:
    """A value on an edge between two levels may fall to either side."""
    error = np.abs(np.asarray(actual) - np.asarray(frames(levels))) * 255 / 2
    assert error.max() < 1.01 and (error > 1e-2).mean() < 1e-3


def denoise(noisy: jax.Array, sigma: jax.Array) -> tuple[jax.Array, jax.Array]:
    return MODEL.apply(params()["world_model"], CONTEXT, noisy, sigma, ACTIONS, method="denoise")


def golden_denoise(noisy: jax.Array, sigma: jax.Array) -> jax.Array:
    return quantize(denoise(noisy, sigma)[1])


def test_unet_and_middle_block_attend_to_pixels_only(form: str) -> None:
    cond = modules["cond_out"][:1]
    unet = UNet(INNER.channels, INNER.depths, INNER.attn_depths, cross_attention=False)
    got = unet.apply(weights("denoiser", "inner_model", "unet"), image("unet_in"), cond)
    assert_close(got, image("unet_out"), 1e-5)
    block = ResBlock(64, attention=True, cross_attention=False)
    own = weights("denoiser", "inner_model", "unet", "mid_blocks", "resblocks_0")
    assert_close(block.apply(own, image("mid0_in"), cond), image("mid0_out"), 1e-5)


def test_denoiser(form: str) -> None:
    F, denoised = jax.jit(denoise, compiler_options=AS_IN_A_RUN)(image("denoiser_noisy"), modules["denoiser_sigma"])
    assert_close(F, image("denoiser_model_output"), 1e-5)
    assert_close(denoised, image("denoiser_denoised"), 1e-5)
    assert_levels(quantize(denoised), modules["denoiser_quantized"])


def test_the_condition_is_noise_and_actions_in_time_order() -> None:
    """The two linear layers over the noise's features and the embeddings of the actions, oldest first."""
    inner = jax.tree.map(np.asarray, weights("denoiser", "inner_model")["params"])
    embedded = inner["act_emb"][ACTIONS].reshape(2, -1)
    assert_close(embedded, modules["act_emb_out"], 1e-6)
    sigma = np.sqrt(modules["denoiser_sigma"] ** 2 + 0.3**2)
    angle = 2 * np.pi * (np.log(sigma) / 4)[:, None] * inner["noise_emb"]["weight"]
    x = np.concatenate([np.cos(angle), np.sin(angle)], -1) + embedded
    x = x @ inner["cond_proj_0"]["kernel"] + inner["cond_proj_0"]["bias"]
    x = x / (1 + np.exp(-x)) @ inner["cond_proj_2"]["kernel"] + inner["cond_proj_2"]["bias"]
    assert_close(x, modules["cond_out"], 1e-5)


@pytest.mark.ci
def test_sampler(form: str) -> None:
    assert_close(karras_sigmas(SAMPLER), modules["sigmas_3"], 1e-6)
    x = image("euler3_x_init")
    trajectory = sample(golden_denoise, x, SAMPLER)
    recorded = channels_last(modules["euler3_trajectory"])
    error = np.abs(np.asarray(trajectory[1:-1]) - recorded) * 255 / 2
    assert (error < 1e-2).mean() > 0.99 and error.mean() < 0.01
    sigmas = karras_sigmas(SAMPLER)
    last = sample_step(golden_denoise, recorded[-1], sigmas[2], sigmas[3], jnp.array(True), None, SAMPLER)
    assert_levels(last, modules["euler3_out"])


@pytest.mark.parametrize("prefix", ["re", "re_zero"])
def test_reward_and_end_model(form: str, prefix: str) -> None:
    """On 5 pairs at once, from a given state and from zeros; and pair by pair, as in imagination."""
    start = LSTMState(modules["re_hx"], modules["re_cx"]) if prefix == "re" else MODEL.init_memory(2).lstm
    pairs = frames(modules["re_obs"]), jnp.asarray(modules["re_act"]), frames(modules["re_next_obs"])
    run = jax.jit(lambda *args: MODEL.apply(params()["world_model"], *args, method="outcomes"))
    reward, end, state = run(*pairs, start)
    single, rows = start, []
    for t in range(5):
        *logits, single = run(*(x[:, t : t + 1] for x in pairs), single)
        rows.append(logits)
    for got in ((reward, end, state), (*(np.concatenate(x, 1) for x in zip(*rows, strict=True)), single)):
        assert_close(got[0], modules[f"{prefix}_logits_rew"], 1e-5)
        assert_close(got[1], modules[f"{prefix}_logits_end"], 1e-5)
        assert_close(got[2].hx, modules[f"{prefix}_hx_out"], 1e-5)
        assert_close(got[2].cx, modules[f"{prefix}_cx_out"], 1e-5)


@pytest.mark.ci
def test_a_burn_in_begins_with_the_episode() -> None:
    """What the mask leaves out might as well not be there; without a mask it counts."""
    before, actions = frames(modules["re_obs"]), jnp.asarray(modules["re_act"])
    mask = jnp.arange(5)[None] >= jnp.array([[2], [2]])
    burn_in = jax.jit(lambda *args: MODEL.apply(params()["world_model"], *args, method="burn_in")[1].lstm.hx)
    expected = burn_in(before[:, 2:], actions[:, 2:])
    assert_close(burn_in(before, actions, mask), expected, 1e-6)
    assert np.abs(burn_in(before, actions) - expected).max() > 1e-3


def test_actor_critic_step(form: str) -> None:
    state = LSTMState(modules["ac_hx"], modules["ac_cx"])
    network = ActorCritic(config().agent, 5)
    logits, value, state = network.apply(params()["actor_critic"], frames(modules["ac_obs"]), state)
    assert_close(logits, modules["ac_logits"], 1e-5)
    assert_close(value, modules["ac_value"], 1e-5)
    assert_close(state.hx, modules["ac_hx_out"], 1e-5)
    assert_close(state.cx, modules["ac_cx_out"], 1e-5)
