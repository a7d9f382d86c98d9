"""Runs of DIAMOND's own program: their config becomes one of ours, and their agent is converted."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from configs.atari import get_config
from edeline_jax.agent import authors, weights
from edeline_jax.config import leaves, to_dict
from edeline_jax.convert import main as convert
from edeline_jax.runtime.errors import UserError
from tests.agent.test_authors import OURS as OURS_OF_EDELINE
from tests.agent.trainers import DIAMOND, agent_files, read, value, write_trainer
from tests.diamond_data import HERE, load
from tests.in_process import call

# What the file says otherwise than that of EDELINE.
OURS = {
    key: value
    for key, value in OURS_OF_EDELINE.items()
    if not key.startswith("agent.recurrent_emb") and key != "world_model.loss.harmony"
} | {
    "agent.kind": "diamond",
    "agent.denoiser.inner_model.cond_channels": 120,
    "agent.rew_end_model.channels": (16, 24),
    "agent.rew_end_model.depths": (3, 1),
    "agent.rew_end_model.attn_depths": (True, False),
    "agent.rew_end_model.cond_channels": 64,
    "agent.rew_end_model.lstm_dim": 96,
    "world_model.optimizer.max_grad_norm_rew_end": 60.0,
}
UNREAD = {
    *("common.devices", "common.resume", "evaluation.should", "env.keymap", "world_model_env.num_batches_to_preload"),
    *(f"training.{name}" for name in ("cache_in_ram", "num_workers_data_loaders", "compile_wm")),
    *(f"env.test.{name}" for name in ("id", "done_on_life_loss", "size", "max_episode_steps")),
    *(f"agent.{network}.img_{what}" for network in ("rew_end_model", "actor_critic") for what in ("channels", "size")),
    "static_dataset.ignore_sample_weights",  # of a static dataset, which must be null
}


def test_every_key_arrives(tmp_path: Path) -> None:
    got = leaves(to_dict(read(write_trainer(tmp_path, {}, DIAMOND))))
    defaults = leaves(get_config().to_dict())
    assert {key: got[f"config.{key}"] for key in OURS} == OURS
    assert not [key for key in OURS if OURS[key] == defaults[f"config.{key}"]]  # each says something
    rest = {key: x for key, x in got.items() if key.removeprefix("config.") not in OURS}
    assert rest == {key: defaults[key] for key in rest}


def test_every_key_of_theirs_is_read_or_has_no_counterpart() -> None:
    theirs = {key.removeprefix("config.") for key in leaves(yaml.safe_load(DIAMOND.read_text()))}
    theirs = {key for key in theirs if not key.endswith("._target_")}
    program = authors.DIAMOND
    ours = {authors._counterpart(key.removeprefix("config."), program) for key in leaves(get_config().to_dict())}
    checked = {*program.fixed, *(f"rew_end_model.{key}" for key in program.equal)}
    assert theirs - ours - checked == UNREAD
    assert {f"rew_end_model.{key}" for key in program.equal} <= theirs


@pytest.mark.parametrize(
    ("change", "ours", "expected"),
    [
        ({"rew_end_model.training.seq_length": 30}, "world_model.loss.horizon", 25),
        ({"rew_end_model.training.max_grad_norm": None}, "world_model.optimizer.max_grad_norm_rew_end", 1e30),
        ({"denoiser.training.max_grad_norm": None}, "world_model.optimizer.max_grad_norm", 1e30),
        ({"actor_critic.training.max_grad_norm": None}, "actor_critic.optimizer.max_grad_norm", 1e30),
        ({"denoiser.training.sample_weights": None}, "world_model.training.sample_weights", (0.1, 0.1, 0.1, 0.7)),
        ({"static_dataset": ...}, "collection.path_to_static_dataset", ""),  # as in the first version
    ],
)
def test_null_and_expressions_have_their_meaning(tmp_path: Path, change: dict, ours: str, expected: object) -> None:
    assert value(read(write_trainer(tmp_path, change, DIAMOND)), ours) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"agent.denoiser": ...},
            "has no agent.world_model, nor agent.denoiser: not the config of a run of EDELINE or ",
        ),
        ({"agent.rew_end_model": None}, "has no agent.rew_end_model: not the config of a run of DIAMOND"),
        ({"env.train.id": ...}, "has no env.train.id"),
        ({"static_dataset.path": "/data"}, "static_dataset.path is '/data': convert it first"),
        ({"collection.path_to_static_dataset": "/data"}, "collection.path_to_static_dataset is '/data': convert it"),
        ({"agent.denoiser.inner_model.img_channels": 1}, "agent.denoiser.inner_model.img_channels is 1: frames have 3"),
        (
            {"rew_end_model.training.batch_size": 32},
            "rew_end_model.training.batch_size is 32: .* by one schedule here, and denoiser.training.batch_size is 16;",
        ),
        ({"rew_end_model.optimizer.lr": 1e-4}, "rew_end_model.optimizer.lr is 0.0001: .*optimizer.lr is 0.0002;"),
        ({"rew_end_model.training.sample_weights": [1]}, r"rew_end_model.training.sample_weights is \[1\]: "),
        ({"rew_end_model.training.seq_length": ...}, "seq_length is None: expected a number of steps"),
        ({"rew_end_model.training.seq_length": 6}, "rew_end_model.training.seq_length: a segment .* must hold"),
        (
            {"denoiser.training.steps_per_epoch": -1, "rew_end_model.training.steps_per_epoch": -1},
            "denoiser.training.s",
        ),
        ({"agent.rew_end_model.depths": [1]}, "agent.rew_end_model.depths: depths, channels and attn_depths must"),
        ({"agent.denoiser.inner_model.cond_channels": 128}, "cond_channels: must be a multiple of num_steps_condit"),
    ],
)
def test_what_cannot_be_said_here_is_named(tmp_path: Path, change: dict, words: str) -> None:
    with pytest.raises(UserError, match=rf"config/trainer\.yaml: .*{words}.*or give --config=") as error:
        read(write_trainer(tmp_path, change, DIAMOND))
    assert "\n" not in str(error.value)


def small_run(run: Path) -> Path:
    """A run with networks of the recorded sizes."""
    small = json.loads((HERE / "config.json").read_text())
    inner, head = "agent.denoiser.inner_model", "agent.rew_end_model"
    sizes = {
        "env.train.id": "BreakoutNoFrameskip-v4",
        "env.train.size": small["img_size"],
        f"{inner}.num_steps_conditioning": small["num_steps_conditioning"],
        f"{inner}.cond_channels": small["cond_channels"],
        **{f"{inner}.{name}": small[f"denoiser_{name}"] for name in ("depths", "channels", "attn_depths")},
        **{f"{head}.{name}": small[f"rew_end_{name}"] for name in ("depths", "channels", "attn_depths")},
        f"{head}.cond_channels": small["rew_end_cond_channels"],
        f"{head}.lstm_dim": small["rew_end_lstm_dim"],
        "agent.actor_critic.channels": small["ac_channels"],
        "agent.actor_critic.down": small["ac_down"],
        "agent.actor_critic.lstm_dim": small["lstm_dim"],
    }
    agent_files(write_trainer(run, sizes, DIAMOND), 3, 12)
    return run


def agent_of_four_actions() -> dict[str, np.ndarray]:
    """The recorded agent less one action of five: Breakout has four."""
    by_action = ("act_emb.weight", "act_emb.0.weight", "actor_linear.weight", "actor_linear.bias")
    return {name: x[:4] if name.endswith(by_action) else x for name, x in load("agent").items()}


def test_a_run_is_converted_without_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch is not needed: its part is the arrays."""
    run, files = small_run(tmp_path / "run"), []
    monkeypatch.setattr(weights, "read_tensors", lambda path, part: files.append(path) or agent_of_four_actions())
    call(convert, run, tmp_path / "agent.safetensors")
    assert files == [run / authors.AGENTS / "agent_epoch_00012.pt"]
    back = weights.read_weights(tmp_path / "agent.safetensors")
    assert back.config == read(run) and (back.config.agent.kind, back.config.env.id) == ("diamond", "breakout")
    for name, tensor in agent_of_four_actions().items():
        np.testing.assert_array_equal(back.tensors[name], tensor)
