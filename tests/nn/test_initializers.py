"""Initial weights of the paper's networks: bounds, moments, and what starts at zero."""

import re

import jax
import numpy as np
import pytest

from configs.atari import get_config
from edeline_jax.agent.networks import build_agent, init_params
from edeline_jax.config import pour


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    config = pour(get_config("breakout"))
    params = init_params(build_agent(config, 4), config.frame_shape, jax.random.key(0))
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {"/".join(str(k.key) for k in path if k.key != "params"): np.asarray(leaf) for path, leaf in leaves}


def assert_uniform(x: np.ndarray, bound: float) -> None:
    assert np.abs(x).max() <= bound
    np.testing.assert_allclose(x.std(), bound / np.sqrt(3), rtol=4 / np.sqrt(x.size) + 0.01)
    if x.size > 1000:
        assert np.abs(x).max() > 0.97 * bound


def test_linear_and_convolution_are_uniform_in_their_fan_in(weights: dict[str, np.ndarray]) -> None:
    inner = "world_model/denoiser/inner_model/"
    assert_uniform(weights[inner + "conv_in/kernel"], (9 * 15) ** -0.5)
    assert_uniform(weights[inner + "conv_in/bias"], (9 * 15) ** -0.5)
    assert_uniform(weights[inner + "cond_proj_0/kernel"], 256**-0.5)
    assert_uniform(weights[inner + "unet/d_blocks_0/resblocks_0/conv1/kernel"], (9 * 64) ** -0.5)
    assert_uniform(weights["world_model/recurrent_emb/embedding_proj/kernel"], 1152**-0.5)
    assert_uniform(weights["world_model/recurrent_emb/mamba/layers_0/mixer/conv_kernel"], 4**-0.5)


ZERO = (
    r"attn/out_proj/(kernel|bias)$",  # of both attentions
    r"/conv2/kernel$",
    r"/conv_out/kernel$",
    r"(actor|critic)_linear/(kernel|bias)$",
    r"(^|/)norm\w*/bias$",
    r"/harmony_s\d$",
)
ONE = (r"(^|/)norm\w*/scale$", r"/D$")
OWN = r"/A_log$|/dt_proj/|/lstm/|/downsamples_\d/conv/kernel$|/act_emb$|/noise_emb/weight$"  # the other tests here


def test_every_parameter_starts_as_its_name_says(weights: dict[str, np.ndarray]) -> None:
    """Zero, one, a distribution of its own, or uniform in the fan-in of its layer: all four over all names."""
    uniform = 0
    for name, x in weights.items():
        zero, one, own = (any(re.search(p, name) for p in patterns) for patterns in (ZERO, ONE, [OWN]))
        assert zero + one + own <= 1, name
        if zero or one:
            np.testing.assert_array_equal(x, float(one), err_msg=name)
        elif not own:
            kernel = weights[name.replace("bias", "kernel")]
            assert_uniform(x, np.prod(kernel.shape[:-1]) ** -0.5)
            uniform += 1
    assert uniform > 100


def test_mamba_starts(weights: dict[str, np.ndarray]) -> None:
    mixer = "world_model/recurrent_emb/mamba/layers_1/mixer/"
    np.testing.assert_allclose(weights[mixer + "A_log"], np.tile(np.log(np.arange(1, 17)), (1024, 1)), rtol=1e-6)
    np.testing.assert_array_equal(weights[mixer + "D"], 1)
    assert_uniform(weights[mixer + "dt_proj/kernel"], 32**-0.5)
    delta = np.log1p(np.exp(weights[mixer + "dt_proj/bias"].astype(np.float64)))
    assert delta.min() > 0.999e-3 and delta.max() < 0.1001
    np.testing.assert_allclose(np.log(delta).mean(), (np.log(1e-3) + np.log(0.1)) / 2, atol=0.15)


def test_lstm_and_downsampling_starts(weights: dict[str, np.ndarray]) -> None:
    recurrent = weights["actor_critic/lstm/weight_hh"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(512), atol=1e-4)
    assert_uniform(weights["actor_critic/lstm/weight_ih"], np.sqrt(6 / (1024 + 2048)))
    bias = weights["actor_critic/lstm/bias_ih"].reshape(4, 512)
    np.testing.assert_array_equal(bias[1], 1)
    assert not bias[[0, 2, 3]].any() and not weights["actor_critic/lstm/bias_hh"].any()
    kernel = weights["world_model/denoiser/inner_model/unet/downsamples_1/conv/kernel"].reshape(-1, 64)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(64), atol=1e-4)


def test_embeddings_and_fourier_weights_are_standard_normal(weights: dict[str, np.ndarray]) -> None:
    for name in ("world_model/recurrent_emb/act_emb", "world_model/denoiser/inner_model/noise_emb/weight"):
        x = weights[name]
        assert abs(x.mean()) < 4 / np.sqrt(x.size) and abs(x.std() - 1) < 3 / np.sqrt(x.size)
