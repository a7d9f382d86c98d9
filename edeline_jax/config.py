"""The schema of a run: frozen dataclasses into which an ml_collections file is poured.

What each key means, with its unit, stands beside its value in `configs/atari.py`. Model code sees these classes, never
a ConfigDict.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edeline_jax.envs import check_env


class ConfigError(ValueError):
    """A key that is unknown, missing, of the wrong type, or impossible beside another; the message is one line."""


@dataclass(frozen=True)
class Env:
    id: str
    num_envs: int
    size: int
    frame_skip: int
    noop_max: int
    max_episode_frames: int
    done_on_life_loss: bool


@dataclass(frozen=True)
class InnerModel:
    num_steps_conditioning: int
    cond_channels: int
    depths: tuple[int, ...]
    channels: tuple[int, ...]
    attn_depths: tuple[bool, ...]


@dataclass(frozen=True)
class Denoiser:
    sigma_data: float
    sigma_offset_noise: float
    inner_model: InnerModel


@dataclass(frozen=True)
class Mamba:
    d_model: int
    n_layers: int
    d_state: int
    expand_factor: int
    d_conv: int
    scan: str


@dataclass(frozen=True)
class RecurrentEmb:
    channels: tuple[int, ...]
    down: tuple[bool, ...]
    cond_channels: int
    mamba: Mamba


@dataclass(frozen=True)
class ActorCritic:
    channels: tuple[int, ...]
    down: tuple[bool, ...]
    lstm_dim: int


@dataclass(frozen=True)
class Agent:
    compute_dtype: str
    denoiser: Denoiser
    recurrent_emb: RecurrentEmb
    actor_critic: ActorCritic


@dataclass(frozen=True)
class Optimizer:
    lr: float
    weight_decay: float
    eps: float
    lr_warmup_steps: int
    max_grad_norm: float


@dataclass(frozen=True)
class Schedule:
    start_after_epochs: int
    steps_first_epoch: int
    steps_per_epoch: int
    batch_size: int
    grad_acc_steps: int


@dataclass(frozen=True)
class SigmaDistribution:
    loc: float
    scale: float
    sigma_min: float
    sigma_max: float


@dataclass(frozen=True)
class WorldModelLoss:
    horizon: int
    num_autoregressive_steps: int
    harmony: bool
    sigma_distribution: SigmaDistribution


@dataclass(frozen=True)
class WorldModelTraining:
    training: Schedule
    optimizer: Optimizer
    loss: WorldModelLoss


@dataclass(frozen=True)
class ActorCriticLoss:
    backup_every: int
    gamma: float
    lambda_: float
    weight_value_loss: float
    weight_entropy_loss: float


@dataclass(frozen=True)
class ActorCriticTraining:
    training: Schedule
    optimizer: Optimizer
    loss: ActorCriticLoss


@dataclass(frozen=True)
class DiffusionSampler:
    num_steps_denoising: int
    sigma_min: float
    sigma_max: float
    rho: float
    order: int
    s_churn: float
    s_tmin: float
    s_tmax: float
    s_noise: float


@dataclass(frozen=True)
class WorldModelEnv:
    horizon: int
    diffusion_sampler: DiffusionSampler


@dataclass(frozen=True)
class FirstEpoch:
    min: int
    max: int
    threshold_rew: int


@dataclass(frozen=True)
class Collection:
    epsilon: float
    num_steps_total: int
    steps_per_epoch: int
    first_epoch: FirstEpoch


@dataclass(frozen=True)
class Evaluation:
    every: int
    num_envs: int
    num_episodes: int
    num_final_episodes: int
    epsilon: float
    num_steps_replay: int
    num_batches: int


@dataclass(frozen=True)
class Checkpointing:
    save_state_every: int
    save_agent_every: int
    num_agents_to_keep: int


@dataclass(frozen=True)
class Training:
    should: bool
    model_free: bool
    num_final_epochs: int


@dataclass(frozen=True)
class Wandb:
    mode: str
    project: str
    entity: str
    name: str
    group: str


@dataclass(frozen=True)
class Config:
    seed: int
    env: Env
    training: Training
    collection: Collection
    evaluation: Evaluation
    checkpointing: Checkpointing
    agent: Agent
    world_model: WorldModelTraining
    actor_critic: ActorCriticTraining
    world_model_env: WorldModelEnv
    wandb: Wandb

    @property
    def context(self) -> int:
        """L, the number of past frames that the denoiser is conditioned on."""
        return self.agent.denoiser.inner_model.num_steps_conditioning

    @property
    def segment_length(self) -> int:
        """T, the steps of a world-model training segment: horizon + L."""
        return self.world_model.loss.horizon + self.context


def pour(values: Mapping[str, Any], num_devices: int = 1) -> Config:
    """Turns a nested mapping (a ConfigDict, or its JSON) into a checked `Config`.

    Args:
      values: every key of the schema, and no other.
      num_devices: the devices that a batch is spread over.

    Raises:
      ConfigError: one line that names the key and the remedy.
    """
    config = _pour(Config, values, "config")
    _check_env(config)
    _check_values(config)
    _check_networks(config)
    _check_devices(config, num_devices)
    return config


def to_dict(config: Config) -> dict[str, Any]:
    """The nested mapping that `pour` turns back into `config`; JSON types only but for tuples."""
    return dataclasses.asdict(config)


def _pour(cls: type, values: Any, path: str) -> Any:
    if not isinstance(values, Mapping):
        values = values.to_dict() if hasattr(values, "to_dict") else values
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path}: expected a group of keys, got {values!r}")
    kinds = typing.get_type_hints(cls)
    for key in values:
        if key not in kinds:
            raise ConfigError(f"{path}.{key}: unknown key; {path} has {', '.join(kinds)}")
    for key in kinds:
        if key not in values:
            raise ConfigError(f"{path}.{key}: missing; add it, see configs/atari.py for its meaning")
    return cls(**{key: _convert(kind, values[key], f"{path}.{key}") for key, kind in kinds.items()})


def _convert(kind: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _pour(kind, value, path)
    if isinstance(kind, types.GenericAlias):
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{path}: expected a sequence, got {value!r}")
        return tuple(_convert(typing.get_args(kind)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if kind is bool and isinstance(value, int) and value in (0, 1):
        return bool(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{path}: expected {kind.__name__}, got {type(value).__name__} {value!r}")
    return value


def _require(holds: bool, key: str, remedy: str) -> None:
    if not holds:
        raise ConfigError(f"config.{key}: {remedy}")


def _check_env(config: Config) -> None:
    try:
        check_env(config.env.id, config.env.size)
    except ValueError as error:
        raise ConfigError(f"config.env: {error}") from error
    for key in ("num_envs", "size", "frame_skip", "noop_max", "max_episode_frames"):
        _require(getattr(config.env, key) >= 1, f"env.{key}", "must be at least 1")


def _check_values(config: Config) -> None:
    for group in ("world_model", "actor_critic"):
        part = getattr(config, group)
        for key in ("batch_size", "grad_acc_steps"):
            _require(getattr(part.training, key) >= 1, f"{group}.training.{key}", "must be at least 1")
        for key in ("start_after_epochs", "steps_first_epoch", "steps_per_epoch"):
            _require(getattr(part.training, key) >= 0, f"{group}.training.{key}", "must not be negative")
        _require(part.optimizer.lr > 0, f"{group}.optimizer.lr", "must be positive")
        _require(part.optimizer.max_grad_norm > 0, f"{group}.optimizer.max_grad_norm", "must be positive")
    _require(config.evaluation.num_envs >= 1, "evaluation.num_envs", "must be at least 1")
    _require(config.evaluation.every >= 1, "evaluation.every", "must be at least 1 epoch")
    _require(config.checkpointing.save_state_every >= 1, "checkpointing.save_state_every", "must be at least 1 epoch")
    _require(config.checkpointing.save_agent_every >= 1, "checkpointing.save_agent_every", "must be at least 1 epoch")
    _require(config.collection.steps_per_epoch >= 1, "collection.steps_per_epoch", "must be at least 1")
    first = config.collection.first_epoch
    _require(1 <= first.min <= first.max, "collection.first_epoch.min", f"must lie in 1..first_epoch.max ({first.max})")
    _require(
        config.collection.num_steps_total >= first.max,
        "collection.num_steps_total",
        f"must be at least collection.first_epoch.max ({first.max})",
    )
    _require(0 <= config.collection.epsilon <= 1, "collection.epsilon", "is a probability")
    _require(
        not config.training.model_free or config.actor_critic.training.steps_per_epoch >= 1,
        "actor_critic.training.steps_per_epoch",
        "must be at least 1 where training.model_free is on: only updates take steps there",
    )
    for key, value, allowed in (
        ("agent.compute_dtype", config.agent.compute_dtype, ("float32", "bfloat16")),
        ("agent.recurrent_emb.mamba.scan", config.agent.recurrent_emb.mamba.scan, ("associative", "sequential")),
        ("wandb.mode", config.wandb.mode, ("disabled", "offline", "online")),
    ):
        _require(value in allowed, key, f"must be one of {', '.join(allowed)}, got {value!r}")


def _check_networks(config: Config) -> None:
    inner, sampler, loss = (
        config.agent.denoiser.inner_model,
        config.world_model_env.diffusion_sampler,
        config.world_model.loss,
    )
    _require(config.context >= 1, "agent.denoiser.inner_model.num_steps_conditioning", "must be at least 1")
    _require(
        loss.horizon >= 1 + loss.num_autoregressive_steps,
        "world_model.loss.horizon",
        f"a segment (horizon + L = {config.segment_length}) must hold L + {1 + loss.num_autoregressive_steps} steps: "
        f"raise horizon to at least {1 + loss.num_autoregressive_steps}",
    )
    _require(
        len(inner.depths) == len(inner.channels) == len(inner.attn_depths) > 0,
        "agent.denoiser.inner_model.depths",
        "depths, channels and attn_depths must have the same length, one entry per level",
    )
    _require(
        inner.cond_channels % 2 == 0, "agent.denoiser.inner_model.cond_channels", "must be even (cos and sin features)"
    )
    for name, encoder in (("recurrent_emb", config.agent.recurrent_emb), ("actor_critic", config.agent.actor_critic)):
        _require(
            len(encoder.channels) == len(encoder.down) > 0, f"agent.{name}.down", "must have one entry per channel"
        )
        _require(
            config.env.size >= 2 ** sum(encoder.down), f"agent.{name}.down", f"pools env.size {config.env.size} away"
        )
    _require(
        sampler.num_steps_denoising >= 1, "world_model_env.diffusion_sampler.num_steps_denoising", "must be at least 1"
    )
    _require(sampler.order in (1, 2), "world_model_env.diffusion_sampler.order", "must be 1 (Euler) or 2 (Heun)")
    _require(
        0 < sampler.sigma_min < sampler.sigma_max,
        "world_model_env.diffusion_sampler.sigma_min",
        "must lie in (0, sigma_max)",
    )
    _require(config.world_model_env.horizon >= 1, "world_model_env.horizon", "must be at least 1")
    _require(config.actor_critic.loss.backup_every >= 1, "actor_critic.loss.backup_every", "must be at least 1")


def _check_devices(config: Config, num_devices: int) -> None:
    for group in ("world_model", "actor_critic"):
        training = getattr(config, group).training
        _require(
            training.batch_size % num_devices == 0,
            f"{group}.training.batch_size",
            f"{training.batch_size} must be a multiple of the {num_devices} devices",
        )
    _require(
        config.env.num_envs % num_devices == 0,
        "env.num_envs",
        f"{config.env.num_envs} must be a multiple of the {num_devices} devices: "
        "each device keeps the replay of its own environments",
    )
