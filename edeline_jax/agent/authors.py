"""Runs of the authors' PyTorch programs: where their agents are, and their config as one of ours.

The programs are EDELINE's (LJH-coding/EDELINE) and DIAMOND's (eloialonso/diamond), of which it is a fork.

| in a run's folder | holds |
|---|---|
| `config/trainer.yaml` | the config as Hydra composed it, with references such as `${env.train.size}` in it |
| `checkpoints/agent_versions/agent_epoch_00123.pt` | an agent's `state_dict` |
| `checkpoints/state.pt` | the newest full state; the agent's `state_dict` is its part "agent" |
"""

import contextlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml
from etils.epath import Path

from edeline_jax.config import Config, pour
from edeline_jax.config.schema import MOST
from edeline_jax.envs import our_name
from edeline_jax.runtime.errors import ConfigError, UserError, one_line, shorten
from edeline_jax.runtime.files import absolute

CONFIG = "config/trainer.yaml"
STATE = "checkpoints/state.pt"
AGENTS = "checkpoints/agent_versions"
AGENT_FILE = re.compile(r"agent_epoch_(\d+)\.pt")

LARGEST = 1e30  # of the numbers that a config may hold, but for this key's
S_TMAX = "world_model_env.diffusion_sampler.s_tmax"
CONVERT = "convert it first with python -m edeline_jax.dataset import"
HORIZON = "world_model.loss.horizon"  # theirs is L steps longer


class Program(NamedTuple):
    """How the config of one of the programs is read; its keys are those of `agent`, `denoiser` and so on.

    kind: our `agent.kind`.
    own: keys that its configs have; the first is in no other program's.
    renamed: our key or group of keys -> its; keys in a group have the same names, unless they are listed too.
    fixed: keys that must have one value, since nothing else is built here, and why.
    equal: keys of `rew_end_model` that must have the value that they have in `denoiser`.
    """

    kind: str
    own: tuple[str, ...]
    renamed: Mapping[str, str]
    fixed: Mapping[str, tuple[Any, str]]
    equal: tuple[str, ...] = ()


RENAMED = {
    "seed": "common.seed",
    "env": "env.train",
    "env.num_envs": "collection.train.num_envs",
    "env.max_episode_frames": "env.train.max_episode_steps",  # counted before frames are skipped
    "collection": "collection.train",
    "evaluation": "collection.test",
    "evaluation.every": "evaluation.every",
    "checkpointing.num_agents_to_keep": "checkpointing.num_to_keep",
    "world_model.loss.sigma_distribution": "denoiser.sigma_distribution",
    "actor_critic.optimizer.lr_warmup_steps": "actor_critic.training.lr_warmup_steps",
    "actor_critic.optimizer.max_grad_norm": "actor_critic.training.max_grad_norm",
    "actor_critic.loss": "actor_critic.actor_critic_loss",
}
EDELINE = Program(
    "edeline",
    own=("agent.world_model",),
    renamed=RENAMED
    | {
        "agent.denoiser": "agent.world_model.denoiser",
        "agent.recurrent_emb": "agent.world_model.recurrent_embedding_module",
        "agent.recurrent_emb.mamba": "agent.world_model.recurrent_embedding_module.mamba_config",
        "world_model.optimizer.lr_warmup_steps": "world_model.training.lr_warmup_steps",
        "world_model.optimizer.max_grad_norm": "world_model.training.max_grad_norm",
        HORIZON: "world_model.training.seq_length",
        "world_model.loss.num_autoregressive_steps": "agent.world_model.denoiser.num_autoregressive_steps",
        "world_model.loss.harmony": "agent.world_model.harmony",
    },
    fixed={
        "agent.world_model.denoiser.inner_model.img_channels": (3, "frames have 3 channels here"),
        "collection.path_to_static_dataset": (None, CONVERT),
    },
)
DIAMOND = Program(
    "diamond",
    own=("agent.denoiser", "agent.rew_end_model"),
    renamed=RENAMED
    | {
        "world_model.training": "denoiser.training",
        "world_model.optimizer": "denoiser.optimizer",
        "world_model.optimizer.lr_warmup_steps": "denoiser.training.lr_warmup_steps",
        "world_model.optimizer.max_grad_norm": "denoiser.training.max_grad_norm",
        "world_model.optimizer.max_grad_norm_rew_end": "rew_end_model.training.max_grad_norm",
        HORIZON: "rew_end_model.training.seq_length",
        "world_model.loss.num_autoregressive_steps": "denoiser.training.num_autoregressive_steps",
    },
    fixed={
        "agent.denoiser.inner_model.img_channels": (3, "frames have 3 channels here"),
        "static_dataset.path": (None, CONVERT),
        "collection.path_to_static_dataset": (None, CONVERT),  # its name in the first version
    },
    equal=(
        *(f"training.{name}" for name in ("start_after_epochs", "steps_first_epoch", "steps_per_epoch")),
        *(f"training.{name}" for name in ("sample_weights", "batch_size", "grad_acc_steps", "lr_warmup_steps")),
        *(f"optimizer.{name}" for name in ("lr", "weight_decay", "eps")),
    ),
)
# Their keys that may be null for "no limit", and ours then; null means our default elsewhere.
NO_LIMIT = {
    "checkpointing.num_to_keep": MOST,
    **{f"{name}.training.max_grad_norm": LARGEST for name in ("world_model", "denoiser", "rew_end_model")},
    "actor_critic.training.max_grad_norm": LARGEST,
}
OUR_KEY = re.compile(r"^config\.([\w.]+)")
REFERENCE = re.compile(r"\$\{([\w.]+)\}")
EXPRESSION = re.compile(r"\$\{eval:'(.*)'\}")  # of Python; the reference's own only add, or say float("inf")
SUM = re.compile(r"\d{1,9}( \+ \d{1,9})*")


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a run of one of the authors' programs."""
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
    """The config of a run of one of the authors' programs, as one of ours.

    Args:
      run: its folder.
      defaults: a config of ours, nested; its values are taken where that program has no such key.

    Raises:
      UserError: it cannot be read, or says what cannot be done here; names the file and the key.
    """
    path = run / CONFIG
    try:
        theirs = _read_yaml(path)
        return _poured(theirs, _program_of(theirs), defaults)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: {error}; or give --config=configs/FILE.py:SPEC") from error


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except Exception as error:  # besides YAMLError, what Python raises on dates and numbers that are none
        raise ValueError(f"cannot be read ({one_line(error)})") from error


def _program_of(theirs: Any) -> Program:
    """The program whose config this is; raises ValueError if it is neither's."""
    programs = [program for program in (EDELINE, DIAMOND) if _look_up(theirs, program.own[0]) is not None]
    if not programs:
        raise ValueError("has no agent.world_model, nor agent.denoiser: not the config of a run of EDELINE or DIAMOND")
    for key in (*programs[0].own, "env.train.id"):
        if _look_up(theirs, key) is None:
            raise ValueError(f"has no {key}: not the config of a run of {programs[0].kind.upper()}")
    return programs[0]


def _refuse_what_is_not_built(theirs: Any, program: Program) -> None:
    for key, (value, reason) in program.fixed.items():
        if (found := _look_up(theirs, key)) != value:
            raise ValueError(f"{key} is {shorten(repr(found))}: {reason}")
    for key in program.equal:
        here, there = (_number(_look_up(theirs, f"{network}.{key}")) for network in ("rew_end_model", "denoiser"))
        if here != there:
            raise ValueError(
                f"rew_end_model.{key} is {shorten(repr(here))}: both networks learn by one schedule here, and "
                f"denoiser.{key} is {shorten(repr(there))}"
            )


def _poured(theirs: Any, program: Program, defaults: Mapping[str, Any]) -> Config:
    try:
        return pour(_translated(theirs, program, defaults))
    except ConfigError as error:
        raise ValueError(OUR_KEY.sub(lambda match: _counterpart(match[1], program), str(error))) from error


def _translated(theirs: Any, program: Program, defaults: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_what_is_not_built(theirs, program)
    ours = _renamed(theirs, program, defaults)
    ours["agent"]["kind"] = program.kind
    ours["env"]["id"] = our_name(str(ours["env"]["id"]))
    if _look_up(theirs, "collection.train.first_epoch.max") is None:
        ours["collection"]["first_epoch"]["max"] = ours["collection"]["num_steps_total"]
    if _look_up(theirs, "evaluation.should") is False:
        ours["evaluation"]["every"] = MOST  # no test but the last, which the reference makes all the same
    L = ours["agent"]["denoiser"]["inner_model"]["num_steps_conditioning"]
    seq_length = _look_up(theirs, key := _counterpart(HORIZON, program))
    if not isinstance(seq_length, int) or not isinstance(L, int):
        raise ValueError(f"{key} is {shorten(repr(seq_length))}: expected a number of steps")
    ours["world_model"]["loss"]["horizon"] = seq_length - L
    return ours


def _renamed(theirs: Any, program: Program, defaults: Mapping[str, Any], group: str = "") -> dict[str, Any]:
    return {
        name: _renamed(theirs, program, default, f"{group}{name}.")
        if isinstance(default, Mapping)
        else _value(theirs, _counterpart(f"{group}{name}", program), default)
        for name, default in defaults.items()
    }


def _value(theirs: Any, key: str, default: Any) -> Any:
    value = _look_up(theirs, key)
    if value is None:
        return NO_LIMIT.get(key, default)
    if not isinstance(default, float):
        return value
    number = _number(value)
    return min(number, LARGEST) if isinstance(number, float) and key != S_TMAX else number


def _counterpart(key: str, program: Program) -> str:
    """A program's name of one of our keys."""
    group = key
    while group and group not in program.renamed:
        group = group.rpartition(".")[0]
    return program.renamed[group] + key.removeprefix(group) if group else key


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
