"""Runs of the authors' PyTorch program (LJH-coding/EDELINE): where their agents are, and their config as one of ours.

| in a run's folder | holds |
|---|---|
| `config/trainer.yaml` | the config as Hydra composed it, with references such as `${env.train.size}` in it |
| `checkpoints/agent_versions/agent_epoch_00123.pt` | an agent's `state_dict` |
| `checkpoints/state.pt` | the newest full state; the agent's `state_dict` is its part "agent" |
"""

import contextlib
import re
from collections.abc import Mapping
from typing import Any

import yaml
from etils.epath import Path

from edeline_jax.config import Config, pour
from edeline_jax.config.schema import MOST
from edeline_jax.envs import our_name
from edeline_jax.runtime.errors import UserError, one_line, shorten
from edeline_jax.runtime.files import absolute

CONFIG = "config/trainer.yaml"
STATE = "checkpoints/state.pt"
AGENTS = "checkpoints/agent_versions"
AGENT_FILE = re.compile(r"agent_epoch_(\d+)\.pt")

# Our key or group of keys -> the reference's; keys in a group have the same names, unless they are listed too.
RENAMED = {
    "seed": "common.seed",
    "env": "env.train",
    "env.num_envs": "collection.train.num_envs",
    "env.max_episode_frames": "env.train.max_episode_steps",  # counted before frames are skipped
    "collection": "collection.train",
    "evaluation": "collection.test",
    "evaluation.every": "evaluation.every",
    "checkpointing.num_agents_to_keep": "checkpointing.num_to_keep",
    "agent.denoiser": "agent.world_model.denoiser",
    "agent.recurrent_emb": "agent.world_model.recurrent_embedding_module",
    "agent.recurrent_emb.mamba": "agent.world_model.recurrent_embedding_module.mamba_config",
    "world_model.optimizer.lr_warmup_steps": "world_model.training.lr_warmup_steps",
    "world_model.optimizer.max_grad_norm": "world_model.training.max_grad_norm",
    "world_model.loss.horizon": "world_model.training.seq_length",  # which is L steps longer
    "world_model.loss.num_autoregressive_steps": "agent.world_model.denoiser.num_autoregressive_steps",
    "world_model.loss.harmony": "agent.world_model.harmony",
    "world_model.loss.sigma_distribution": "denoiser.sigma_distribution",
    "actor_critic.optimizer.lr_warmup_steps": "actor_critic.training.lr_warmup_steps",
    "actor_critic.optimizer.max_grad_norm": "actor_critic.training.max_grad_norm",
    "actor_critic.loss": "actor_critic.actor_critic_loss",
}
LARGEST = 1e30  # of the numbers that a config may hold, but for this key's
S_TMAX = "world_model_env.diffusion_sampler.s_tmax"
# Ours of the reference's keys that may be null for "no limit"; null means our default elsewhere.
NO_LIMIT = {
    "checkpointing.num_agents_to_keep": MOST,
    "world_model.optimizer.max_grad_norm": LARGEST,
    "actor_critic.optimizer.max_grad_norm": LARGEST,
}
# The reference's keys that must have one value, since nothing else is built here.
FIXED = {
    "agent.world_model.denoiser.inner_model.img_channels": (3, "frames have 3 channels here"),
    "collection.path_to_static_dataset": (None, "convert it first with python -m edeline_jax.dataset import"),
}
OUR_KEY = re.compile(r"^config\.([\w.]+)")
REFERENCE = re.compile(r"\$\{([\w.]+)\}")
EXPRESSION = re.compile(r"\$\{eval:'(.*)'\}")  # of Python; the reference's own only add, or say float("inf")
SUM = re.compile(r"\d{1,9}( \+ \d{1,9})*")


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a run of the authors' program."""
    return any((folder / name).exists() for name in (CONFIG, STATE, AGENTS))


def run_of(path: Path) -> Path | None:
    """The run that `path` is or is a file of, if its config is there too."""
    path = absolute(path)
    return next((folder for folder in (path, *path.parents[:3]) if (folder / CONFIG).is_file()), None)


def newest_agent(folder: Path) -> Path:
    """The file with the agent of a run's latest epoch; raises UserError if there is none."""
    found = ((AGENT_FILE.fullmatch(path.name), path) for path in (folder / AGENTS).glob("*.pt"))
    versions = {int(match[1]): path for match, path in found if match}
    if versions:
        return versions[max(versions)]
    if (folder / STATE).exists():
        return folder / STATE
    raise UserError(f"{folder}: neither {AGENTS}/agent_epoch_NUMBER.pt nor {STATE} is there")


def read_config(run: Path, defaults: Mapping[str, Any]) -> Config:
    """The config of a run of the authors' program, as one of ours.

    Args:
      run: its folder.
      defaults: a config of ours, nested; its values are taken where the reference has no such key.

    Raises:
      UserError: it cannot be read, or says what cannot be done here; names the file and the key.
    """
    path = run / CONFIG
    try:
        return pour(_translated(_read_yaml(path), defaults))
    except (ValueError, RecursionError) as error:  # a ConfigError, too, is a ValueError
        message = OUR_KEY.sub(lambda match: _counterpart(match[1]), str(error))
        raise UserError(f"{path}: {message}; or give --config=configs/FILE.py:SPEC") from error


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except Exception as error:  # besides YAMLError, what Python raises on dates and numbers that are none
        raise ValueError(f"cannot be read ({one_line(error)})") from error


def _translated(theirs: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    for key in ("agent.world_model", "env.train.id"):
        if _look_up(theirs, key) is None:
            raise ValueError(f"has no {key}: not the config of a run of EDELINE")
    for key, (value, reason) in FIXED.items():
        if (found := _look_up(theirs, key)) != value:
            raise ValueError(f"{key} is {shorten(repr(found))}: {reason}")
    ours = _renamed(theirs, defaults)
    ours["env"]["id"] = our_name(str(ours["env"]["id"]))
    if _look_up(theirs, "collection.train.first_epoch.max") is None:
        ours["collection"]["first_epoch"]["max"] = ours["collection"]["num_steps_total"]
    if _look_up(theirs, "evaluation.should") is False:
        ours["evaluation"]["every"] = MOST  # no test but the last, which the reference makes all the same
    L = ours["agent"]["denoiser"]["inner_model"]["num_steps_conditioning"]
    seq_length = _look_up(theirs, "world_model.training.seq_length")
    if not isinstance(seq_length, int) or not isinstance(L, int):
        raise ValueError(f"world_model.training.seq_length is {shorten(repr(seq_length))}: expected a number of steps")
    ours["world_model"]["loss"]["horizon"] = seq_length - L
    return ours


def _renamed(theirs: Any, defaults: Mapping[str, Any], group: str = "") -> dict[str, Any]:
    return {
        name: _renamed(theirs, default, f"{group}{name}.")
        if isinstance(default, Mapping)
        else _value(theirs, f"{group}{name}", default)
        for name, default in defaults.items()
    }


def _value(theirs: Any, key: str, default: Any) -> Any:
    value = _look_up(theirs, _counterpart(key))
    if value is None:
        return NO_LIMIT.get(key, default)
    if not isinstance(default, float):
        return value
    number = _number(value)
    return min(number, LARGEST) if isinstance(number, float) and key != S_TMAX else number


def _counterpart(key: str) -> str:
    """The reference's name of one of our keys."""
    group = key
    while group and group not in RENAMED:
        group = group.rpartition(".")[0]
    return RENAMED[group] + key.removeprefix(group) if group else key


def _number(value: Any) -> Any:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # left to the check of the config, which knows the key
            value = float(value)  # YAML 1.1, other than Hydra, takes 1e-4 for a word
    return value


def _look_up(tree: Any, key: str) -> Any:
    """The value of a key, references resolved; None if it is null or not there."""
    value = tree
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return _resolved(tree, key, value) if isinstance(value, str) else value


def _resolved(tree: Any, key: str, text: str) -> Any:
    if reference := REFERENCE.fullmatch(text):
        return _look_up(tree, reference[1])
    expression = EXPRESSION.fullmatch(text)
    value = REFERENCE.sub(lambda match: str(_look_up(tree, match[1])), expression[1] if expression else text)
    if expression and value == 'float("inf")':
        return float("inf")
    if expression and SUM.fullmatch(value):
        return sum(map(int, value.split(" + ")))
    if expression or "${" in value:
        raise ValueError(f"{key} is {shorten(repr(text))}: write the value itself")
    return value
