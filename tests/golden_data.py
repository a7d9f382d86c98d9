"""The recorded numbers of the reference, in this project's layout (tests/golden/README.md)."""

import functools
import json
import os
from pathlib import Path

import jax
import numpy as np

from configs.atari import get_config
from edeline_jax.agent.reference import from_torch
from edeline_jax.config import Config, pour

FOLDER = Path(__file__).parent / "golden"
# On a GPU "default" would be TF32; JAX_DEFAULT_MATMUL_PRECISION lets a person see how far that is off.
PRECISION = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION", "highest")


@functools.cache
def load(name: str) -> dict[str, np.ndarray]:
    """The arrays of one file, as recorded."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return dict(arrays)


@functools.cache
def config() -> Config:
    """The small configuration that the numbers were recorded with."""
    small = json.loads((FOLDER / "config.json").read_text())
    values = get_config("breakout")
    values.env.update(id="none", size=small["img_size"])  # no game has 5 actions
    values.collection.path_to_static_dataset = "recorded elsewhere"
    inner = values.agent.denoiser.inner_model
    inner.channels, inner.depths = small["denoiser_channels"], small["denoiser_depths"]
    inner.attn_depths = [bool(a) for a in small["denoiser_attn_depths"]]
    inner.cond_channels = small["cond_channels"]
    memory = values.agent.recurrent_emb
    memory.channels, memory.cond_channels = small["rem_channels"], small["rem_cond_channels"]
    memory.mamba.update(
        d_model=small["mamba_d_model"],
        n_layers=small["mamba_n_layers"],
        d_state=small["mamba_d_state"],
        expand_factor=small["mamba_expand_factor"],
        d_conv=small["mamba_d_conv"],
    )
    values.agent.actor_critic.update(channels=small["ac_channels"], lstm_dim=small["lstm_dim"])
    values.agent.matmul_precision = "highest" if PRECISION == "highest" else "default"
    values.world_model.loss.horizon = 7
    values.world_model_env.horizon = 6
    values.actor_critic.loss.backup_every = 6
    return pour(values)


@functools.cache
def params() -> dict:
    """The recorded weights."""
    with jax.ensure_compile_time_eval():  # a first call under jit shall not cache its tracers
        return from_torch(load("agent"), config())


def channels_last(x: np.ndarray) -> np.ndarray:
    """[..., C, H, W] -> [..., H, W, C]."""
    return np.moveaxis(x, -3, -1)


def assert_close(actual, expected, rtol: float = 1e-4) -> None:
    """Relative to the largest expected magnitude."""
    expected = np.asarray(expected, np.float64)
    scale = max(np.abs(expected).max(), 1e-12)
    error = np.abs(np.asarray(actual, np.float64) - expected).max() / scale
    assert error <= rtol, f"relative error {error:.2e} > {rtol:.0e}"
