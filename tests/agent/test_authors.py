"""Runs of the authors' program: their config becomes one of ours, their newest agent is found and converted."""

import json
from pathlib import Path

import numpy as np
import pytest

from configs.atari import get_config
from edeline_jax.agent import authors, weights
from edeline_jax.agent.reference import ACTION_EMBEDDINGS
from edeline_jax.config import Config, leaves, to_dict
from edeline_jax.config.schema import MOST
from edeline_jax.convert import main as convert
from edeline_jax.runtime.errors import UserError
from tests.agent.trainers import agent_files, read, value, write_trainer
from tests.golden_data import FOLDER, load
from tests.in_process import call

OURS = {
    "seed": 17,
    "env.id": "up_n_down",
    "env.num_envs": 2,
    "env.size": 48,
    "env.max_episode_frames": 5000,
    "env.done_on_life_loss": False,
    "initialization.path_to_ckpt": "/old/agent.pt",
    "initialization.load_denoiser": False,
    "initialization.load_rew_end_model": False,
    "initialization.load_actor_critic": False,
    "training.should": False,
    "training.model_free": True,
    "training.num_final_epochs": 40,
    "collection.epsilon": 0.02,
    "collection.num_steps_total": 50000,
    "collection.steps_per_epoch": 200,
    "collection.first_epoch.min": 4000,
    "collection.first_epoch.max": 9000,
    "collection.first_epoch.threshold_rew": 11,
    "evaluation.every": 12,
    "evaluation.num_envs": 3,
    "evaluation.num_episodes": 5,
    "evaluation.num_final_episodes": 90,
    "evaluation.epsilon": 0.03,
    "checkpointing.save_agent_every": 7,
    "checkpointing.num_agents_to_keep": 13,
    "agent.denoiser.sigma_data": 0.6,
    "agent.denoiser.sigma_offset_noise": 0.2,
    "agent.denoiser.inner_model.num_steps_conditioning": 5,
    "agent.denoiser.inner_model.cond_channels": 128,
    "agent.denoiser.inner_model.depths": (1, 2, 3),
    "agent.denoiser.inner_model.channels": (32, 64, 96),
    "agent.denoiser.inner_model.attn_depths": (False, True, False),
    "agent.recurrent_emb.channels": (16, 32),
    "agent.recurrent_emb.down": (True, False),
    "agent.recurrent_emb.cond_channels": 64,
    "agent.recurrent_emb.mamba.d_model": 256,
    "agent.recurrent_emb.mamba.n_layers": 2,
    "agent.recurrent_emb.mamba.d_state": 8,
    "agent.recurrent_emb.mamba.expand_factor": 3,
    "agent.recurrent_emb.mamba.d_conv": 5,
    "agent.actor_critic.channels": (8, 16, 24),
    "agent.actor_critic.down": (False, True, True),
    "agent.actor_critic.lstm_dim": 128,
    "world_model.training.start_after_epochs": 1,
    "world_model.training.steps_first_epoch": 9000,
    "world_model.training.steps_per_epoch": 300,
    "world_model.training.batch_size": 16,
    "world_model.training.grad_acc_steps": 2,
    "world_model.training.sample_weights": (0.2, 0.2, 0.1, 0.5),
    "world_model.optimizer.lr": 0.0002,
    "world_model.optimizer.weight_decay": 0.03,
    "world_model.optimizer.eps": 1e-7,
    "world_model.optimizer.lr_warmup_steps": 50,
    "world_model.optimizer.max_grad_norm": 2.0,
    "world_model.loss.horizon": 21,
    "world_model.loss.num_autoregressive_steps": 2,
    "world_model.loss.harmony": False,
    "world_model.loss.sigma_distribution.loc": -0.5,
    "world_model.loss.sigma_distribution.scale": 1.3,
    "world_model.loss.sigma_distribution.sigma_min": 0.003,
    "world_model.loss.sigma_distribution.sigma_max": 25.0,
    "actor_critic.training.start_after_epochs": 4,
    "actor_critic.training.steps_first_epoch": 6000,
    "actor_critic.training.steps_per_epoch": 500,
    "actor_critic.training.batch_size": 24,
    "actor_critic.training.grad_acc_steps": 3,
    "actor_critic.training.sample_weights": (0.2, 0.2, 0.1, 0.5),
    "actor_critic.optimizer.lr": 0.0003,
    "actor_critic.optimizer.weight_decay": 0.04,
    "actor_critic.optimizer.eps": 1e-6,
    "actor_critic.optimizer.lr_warmup_steps": 60,
    "actor_critic.optimizer.max_grad_norm": 50.0,
    "actor_critic.loss.backup_every": 10,
    "actor_critic.loss.gamma": 0.99,
    "actor_critic.loss.lambda_": 0.9,
    "actor_critic.loss.weight_value_loss": 0.5,
    "actor_critic.loss.weight_entropy_loss": 0.002,
    "world_model_env.horizon": 21,
    "world_model_env.diffusion_sampler.num_steps_denoising": 2,
    "world_model_env.diffusion_sampler.sigma_min": 0.004,
    "world_model_env.diffusion_sampler.sigma_max": 6.0,
    "world_model_env.diffusion_sampler.rho": 8.0,
    "world_model_env.diffusion_sampler.order": 2,
    "world_model_env.diffusion_sampler.s_churn": 0.1,
    "world_model_env.diffusion_sampler.s_tmin": 0.2,
    "world_model_env.diffusion_sampler.s_tmax": 9.0,
    "world_model_env.diffusion_sampler.s_noise": 1.1,
    "wandb.mode": "offline",
    "wandb.project": "theirs",
    "wandb.entity": "them",
    "wandb.name": "first",
    "wandb.group": "all",
    "wandb.tags": ("seeds", "churn"),
    "wandb.notes": "three of each",
}


def test_every_key_arrives(tmp_path: Path) -> None:
    got = leaves(to_dict(read(write_trainer(tmp_path, {}))))
    defaults = leaves(get_config().to_dict())
    assert {key: got[f"config.{key}"] for key in OURS} == OURS
    assert not [key for key in OURS if OURS[key] == defaults[f"config.{key}"]]  # each says something
    rest = {key: x for key, x in got.items() if key.removeprefix("config.") not in OURS}
    assert rest == {key: defaults[key] for key in rest}
    own = {
        "config.world_model.optimizer.max_grad_norm_rew_end",
        "config.world_model.loss.burn_in",
        "config.world_model_env.burn_in",
    }
    assert own == {key for key in rest if key.startswith(("config.world_model", "config.actor_critic", "config.wandb"))}


@pytest.mark.parametrize(
    ("change", "ours", "expected"),
    [
        ({"common.seed": None}, "seed", 0),
        ({"env.train.max_episode_steps": None}, "env.max_episode_frames", 108_000),
        ({"env.train.id": "ALE/MsPacman-v5"}, "env.id", "ms_pacman"),
        ({"wandb.entity": None}, "wandb.entity", ""),
        ({"initialization.path_to_ckpt": None}, "initialization.path_to_ckpt", ""),
        ({"collection.train.first_epoch.max": None}, "collection.first_epoch.max", 50_000),
        ({"checkpointing.num_to_keep": None}, "checkpointing.num_agents_to_keep", MOST),
        ({"world_model.training.max_grad_norm": None}, "world_model.optimizer.max_grad_norm", 1e30),
        ({"actor_critic.training.max_grad_norm": None}, "actor_critic.optimizer.max_grad_norm", 1e30),
        ({"evaluation.should": False}, "evaluation.every", MOST),
        ({"world_model.training.seq_length": 30}, "world_model.loss.horizon", 25),
        ({"world_model.optimizer.lr": "3e-4"}, "world_model.optimizer.lr", 3e-4),
        (
            {"world_model_env.diffusion_sampler.s_tmax": "${eval:'float(\"inf\")'}"},
            "world_model_env.diffusion_sampler.s_tmax",
            "inf",
        ),
        (
            {"world_model_env.diffusion_sampler.s_tmax": float("inf")},
            "world_model_env.diffusion_sampler.s_tmax",
            "inf",
        ),
        ({"world_model.training.max_grad_norm": float("inf")}, "world_model.optimizer.max_grad_norm", 1e30),
        ({"wandb.name": "of-${env.train.id}"}, "wandb.name", "of-UpNDownNoFrameskip-v4"),
        ({"wandb.tags": None}, "wandb.tags", ()),
        ({"world_model.training.sample_weights": None}, "world_model.training.sample_weights", (0.1, 0.1, 0.1, 0.7)),
        ({"wandb.job_type": "${nowhere:1}"}, "wandb.name", "first"),  # has no counterpart, is not read
    ],
)
def test_null_expressions_and_spellings_have_their_meaning(
    tmp_path: Path, change: dict, ours: str, expected: object
) -> None:
    assert value(read(write_trainer(tmp_path, change)), ours) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"env.train.id": "Coinrun-v0"}, "env.train: unknown environment 'Coinrun-v0'"),
        (
            {"agent.world_model": ...},
            "has no agent.world_model, nor agent.denoiser: not the config of a run of EDELINE or",
        ),
        ({"env.train.id": ...}, "has no env.train.id"),
        ({"actor_critic.training.sample_weights": [0.5]}, "actor_critic.training.sample_weights: must be the probab"),
        ({"agent.world_model.denoiser.inner_model.img_channels": 1}, "img_channels is 1: frames have 3"),
        ({"collection.path_to_static_dataset": "/data"}, "path_to_static_dataset is '/data': convert it first"),
        (
            {"agent.world_model.recurrent_embedding_module.down": [1]},
            "agent.world_model.recurrent_embedding_module.down: must have one entry per channel",
        ),
        ({"world_model.training.seq_length": 6}, "world_model.training.seq_length: a segment .* must hold"),
        ({"world_model.training.seq_length": "long"}, "seq_length is 'long': expected a number of steps"),
        ({"world_model.optimizer.lr": "fast"}, "world_model.optimizer.lr: expected float, got str 'fast'"),
        ({"common.seed": "${oc.env:SEED}"}, "common.seed is '.*': write the value itself"),
        ({"common.seed": "${eval:'__import__(\"os\").getpid()'}"}, "common.seed is '.*': write the value itself"),
        ({"common.seed": "${common.seed}"}, "recursion"),
    ],
)
def test_what_cannot_be_said_here_is_named(tmp_path: Path, change: dict, words: str) -> None:
    with pytest.raises(UserError, match=rf"config/trainer\.yaml: .*{words}.*; or give --config=") as error:
        read(write_trainer(tmp_path, change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["a: [", "!!python/object/apply:os.getpid []", "a: 2001-99-99", "\0"])
def test_a_file_that_is_no_yaml_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "trainer.yaml").write_text(text)
    with pytest.raises(UserError, match=r"trainer\.yaml: cannot be read \(.*; or give --config="):
        read(tmp_path)


def test_the_newest_agent_is_that_of_the_highest_epoch(tmp_path: Path) -> None:
    folder = agent_files(tmp_path, 5, 99_999, 100_000, 10)  # 100000 comes first by name
    (folder / "agent_epoch_best.pt").touch()
    (tmp_path / "checkpoints" / "state.pt").touch()
    assert authors.newest_agent(tmp_path) == folder / "agent_epoch_100000.pt"


def test_without_agents_the_state_is_read_and_without_both_a_line_says_so(tmp_path: Path) -> None:
    agent_files(tmp_path)
    with pytest.raises(UserError, match=r"neither checkpoints/agent_versions/agent_epoch_NUMBER.pt nor checkpoints/st"):
        weights.read_weights(tmp_path)
    (tmp_path / "checkpoints" / "state.pt").touch()
    assert authors.newest_agent(tmp_path) == tmp_path / "checkpoints" / "state.pt"


def test_a_file_is_of_the_run_that_it_lies_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_trainer(tmp_path / "run", {})
    folder = agent_files(run, 5)
    for path in (run, folder / "agent_epoch_00005.pt", run / "checkpoints" / "state.pt", run / "mine.pt"):
        assert authors.run_of(path) == run
    assert authors.run_of(tmp_path / "agent.pt") is None
    monkeypatch.chdir(folder)
    assert authors.run_of(Path("agent_epoch_00005.pt")) == run


def small_run(run: Path) -> Path:
    """A run with networks of the recorded sizes."""
    small = json.loads((FOLDER / "config.json").read_text())
    inner = "agent.world_model.denoiser.inner_model"
    memory = "agent.world_model.recurrent_embedding_module"
    sizes = {
        "env.train.id": "BreakoutNoFrameskip-v4",
        "env.train.size": small["img_size"],
        "agent.world_model.harmony": True,
        f"{inner}.num_steps_conditioning": small["num_steps_conditioning"],
        f"{inner}.cond_channels": small["cond_channels"],
        **{f"{inner}.{name}": small[f"denoiser_{name}"] for name in ("depths", "channels", "attn_depths")},
        f"{memory}.channels": small["rem_channels"],
        f"{memory}.down": [1] * len(small["rem_channels"]),
        f"{memory}.cond_channels": small["rem_cond_channels"],
        **{
            f"{memory}.mamba_config.{name}": small[f"mamba_{name}"]
            for name in ("d_model", "n_layers", "d_state", "expand_factor", "d_conv")
        },
        "agent.actor_critic.channels": small["ac_channels"],
        "agent.actor_critic.down": [1] * len(small["ac_channels"]),
        "agent.actor_critic.lstm_dim": small["lstm_dim"],
    }
    agent_files(write_trainer(run, sizes), 3, 12)
    return run


def agent_of_four_actions() -> dict[str, np.ndarray]:
    """The recorded agent less one action of five: Breakout has four."""
    by_action = (ACTION_EMBEDDINGS["edeline"], "actor_critic.actor_linear.weight", "actor_critic.actor_linear.bias")
    return {name: x[:4] if name in by_action else x for name, x in load("agent").items()}


@pytest.mark.parametrize("source", ["run", "run/checkpoints/agent_versions/agent_epoch_00012.pt"])
def test_a_run_is_converted_without_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Torch is not needed: its part is the arrays."""
    run, files = small_run(tmp_path / "run"), []
    monkeypatch.setattr(weights, "read_tensors", lambda path, part: files.append(path) or agent_of_four_actions())
    call(convert, tmp_path / source, tmp_path / "agent.safetensors")
    assert files == [run / authors.AGENTS / "agent_epoch_00012.pt"]
    back = weights.read_weights(tmp_path / "agent.safetensors")
    assert back.config == read(run) and back.config.env.id == "breakout"
    for name, tensor in agent_of_four_actions().items():
        np.testing.assert_array_equal(back.tensors[name], tensor)


def test_a_given_config_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_trainer(tmp_path / "run", {"env.train.id": "MiniGrid-MemoryS7-v0"})  # alone it would be refused
    agent_files(run, 3)
    monkeypatch.setattr(weights, "read_tensors", lambda path, part: agent_of_four_actions())
    other = write_run_config(tmp_path / "other", read(small_run(tmp_path / "small")))
    call(convert, run, tmp_path / "agent.safetensors", f"--config=configs/run.py:{other}")
    assert weights.read_weights(tmp_path / "agent.safetensors").config.env.id == "breakout"


def write_run_config(run: Path, config: Config) -> Path:
    """What configs/run.py reads."""
    run.mkdir()
    (run / "config.json").write_text(json.dumps(to_dict(config)))
    return run


def test_a_file_outside_of_a_run_still_needs_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent.pt").touch()
    monkeypatch.setattr(weights, "read_tensors", lambda path, part: agent_of_four_actions())
    with pytest.raises(UserError, match="--config is missing"):
        call(convert, tmp_path / "agent.pt", tmp_path / "agent.safetensors")
