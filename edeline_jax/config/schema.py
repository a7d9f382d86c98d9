"""The schema of a run's config: every key with its type and range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple


class Range(NamedTuple):
    """Inclusive limits of a number, and what an error says of them: "must WORDS"."""

    low: float
    high: float
    words: str


class Choice(NamedTuple):
    """The values that a key may have."""

    values: tuple


MOST = 2**31 - 1
Natural = Annotated[int, Range(0, MOST, "not be negative, nor above 2^31 - 1")]
Count = Annotated[int, Range(1, MOST, "be at least 1, and at most 2^31 - 1")]
Size = Annotated[int, Range(1, 2**16, "be at least 1, and at most 65,536")]
Few = Annotated[int, Range(1, 64, "be at least 1, and at most 64")]
Number = Annotated[float, Range(-1e30, 1e30, "be a finite number")]
NonNegative = Annotated[float, Range(0.0, 1e30, "be a finite number, not negative")]
Positive = Annotated[float, Range(1e-30, 1e30, "be positive and finite")]
Probability = Annotated[float, Range(0.0, 1.0, "be a probability, in 0..1")]


@dataclass(frozen=True)
class Env:
    id: str
    num_envs: Size
    size: Size
    frame_skip: Count
    noop_max: Count
    max_episode_frames: Count
    done_on_life_loss: bool


@dataclass(frozen=True)
class InnerModel:
    num_steps_conditioning: Few
    cond_channels: Size
    depths: tuple[Few, ...]
    channels: tuple[Size, ...]
    attn_depths: tuple[bool, ...]


@dataclass(frozen=True)
class Denoiser:
    sigma_data: Positive
    sigma_offset_noise: NonNegative
    inner_model: InnerModel


@dataclass(frozen=True)
class Mamba:
    d_model: Size
    n_layers: Few
    d_state: Size
    expand_factor: Size
    d_conv: Few
    scan: Annotated[str, Choice(("associative", "sequential"))]


@dataclass(frozen=True)
class RecurrentEmb:
    channels: tuple[Size, ...]
    down: tuple[bool, ...]
    cond_channels: Size
    mamba: Mamba


@dataclass(frozen=True)
class ActorCritic:
    channels: tuple[Size, ...]
    down: tuple[bool, ...]
    lstm_dim: Size


@dataclass(frozen=True)
class Agent:
    compute_dtype: Annotated[str, Choice(("float32", "bfloat16"))]
    denoiser: Denoiser
    recurrent_emb: RecurrentEmb
    actor_critic: ActorCritic


@dataclass(frozen=True)
class Optimizer:
    lr: Positive
    weight_decay: NonNegative
    eps: Positive
    lr_warmup_steps: Natural
    max_grad_norm: Positive


@dataclass(frozen=True)
class Schedule:
    start_after_epochs: Natural
    steps_first_epoch: Natural
    steps_per_epoch: Natural
    batch_size: Size
    grad_acc_steps: Count


@dataclass(frozen=True)
class SigmaDistribution:
    loc: Number
    scale: NonNegative
    sigma_min: Positive
    sigma_max: Positive


@dataclass(frozen=True)
class WorldModelLoss:
    horizon: Size
    num_autoregressive_steps: Annotated[int, Range(0, 64, "not be negative, nor above 64")]
    harmony: bool
    sigma_distribution: SigmaDistribution


@dataclass(frozen=True)
class WorldModelTraining:
    training: Schedule
    optimizer: Optimizer
    loss: WorldModelLoss


@dataclass(frozen=True)
class ActorCriticLoss:
    backup_every: Size
    gamma: Probability
    lambda_: Probability
    weight_value_loss: NonNegative
    weight_entropy_loss: NonNegative


@dataclass(frozen=True)
class ActorCriticTraining:
    training: Schedule
    optimizer: Optimizer
    loss: ActorCriticLoss


@dataclass(frozen=True)
class DiffusionSampler:
    num_steps_denoising: Size
    sigma_min: Positive
    sigma_max: Positive
    rho: Positive
    order: Annotated[int, Choice((1, 2))]
    s_churn: NonNegative
    s_tmin: NonNegative
    s_tmax: NonNegative
    s_noise: NonNegative


@dataclass(frozen=True)
class WorldModelEnv:
    horizon: Count
    diffusion_sampler: DiffusionSampler


@dataclass(frozen=True)
class FirstEpoch:
    min: Count
    max: Count
    threshold_rew: Natural


@dataclass(frozen=True)
class Collection:
    epsilon: Probability
    num_steps_total: Count
    steps_per_epoch: Count
    first_epoch: FirstEpoch
    path_to_static_dataset: str


@dataclass(frozen=True)
class Evaluation:
    every: Count
    num_envs: Size
    num_episodes: Count
    num_final_episodes: Count
    epsilon: Probability
    num_steps_replay: Count
    num_batches: Size


@dataclass(frozen=True)
class Checkpointing:
    save_state_every: Count
    num_states_to_keep: Count
    save_agent_every: Count
    num_agents_to_keep: Count


@dataclass(frozen=True)
class Initialization:
    path_to_ckpt: str
    load_denoiser: bool
    load_rew_end_model: bool
    load_actor_critic: bool


@dataclass(frozen=True)
class Training:
    should: bool
    model_free: bool
    num_final_epochs: Natural


@dataclass(frozen=True)
class Wandb:
    mode: Annotated[str, Choice(("disabled", "offline", "online"))]
    project: str
    entity: str
    name: str
    group: str


@dataclass(frozen=True)
class Config:
    seed: Natural
    env: Env
    initialization: Initialization
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
