"""The recorded numbers of DIAMOND, in this project's layout (tests/golden/diamond/README.md)."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np

from configs.atari import get_config
from edeline_jax.agent.reference import from_torch
from edeline_jax.config import Config, pour
from edeline_jax.replay.frame import to_float
from tests.golden_data import FOLDER, PRECISION, channels_last

HERE = FOLDER / "diamond"


@functools.cache
def load(name: str) -> dict[str, np.ndarray]:
    """The arrays of one file, as recorded."""
    with np.load(HERE / f"{name}.npz") as arrays:
        return dict(arrays)


@functools.cache
def config() -> Config:
    """The small configuration that the numbers were recorded with."""
    small = json.loads((HERE / "config.json").read_text())
    values = get_config("breakout,diamond")
    values.env.update(id="none", size=small["img_size"])  # no game has 5 actions
    values.collection.path_to_static_dataset = "recorded elsewhere"
    for group, name in ((values.agent.denoiser.inner_model, "denoiser"), (values.agent.rew_end_model, "rew_end")):
        group.update(channels=small[f"{name}_channels"], depths=small[f"{name}_depths"])
        group.attn_depths = [bool(a) for a in small[f"{name}_attn_depths"]]
    values.agent.denoiser.inner_model.cond_channels = small["cond_channels"]
    values.agent.rew_end_model.cond_channels = small["rew_end_cond_channels"]
    values.agent.rew_end_model.lstm_dim = small["rew_end_lstm_dim"]
    values.agent.actor_critic.update(channels=small["ac_channels"], lstm_dim=small["lstm_dim"])
    values.agent.matmul_precision = "highest" if PRECISION == "highest" else "default"
    values.world_model.loss.horizon = small["rew_end_horizon"]
    values.world_model_env.horizon = small["horizon"]
    values.actor_critic.loss.backup_every = small["backup_every"]
    values.actor_critic.training.batch_size = small["num_envs"]
    return pour(values)


@functools.cache
def params() -> dict:
    """The recorded weights."""
    with jax.ensure_compile_time_eval():  # a first call under jit shall not cache its tracers
        return from_torch(load("agent"), config())


def frames(levels: np.ndarray, mask: np.ndarray | bool = True) -> jax.Array:
    """uint8 [..., C, H, W] -> float32 [..., H, W, C], 0 where the mask [...] is false."""
    mask = np.broadcast_to(mask, levels.shape[:-3])
    return jnp.where(mask[..., None, None, None], to_float(jnp.asarray(channels_last(levels))), 0.0)
