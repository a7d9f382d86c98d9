"""The schema of a run's config: every key with its type and range.

A key with a default came after the first release: the configs of earlier runs lack it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from edeline_jax.envs import NO_ENV


class Range(NamedTuple):
    """Inclusive limits of a number; an error message says "must WORDS"."""

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
UpperLimit = Annotated[float, Range(0.0, math.inf, "be a number, not negative; inf is no limit")]
Probability = Annotated[float, Range(0.0, 1.0, "be a probability, in 0..1")]


@dataclass(frozen=True)
class EnvConfig:
    id: str
    num_envs: Size
    size: Size
    frame_skip: Count
    noop_max: Count
    max_episode_frames: Count
    done_on_life_loss: bool
    resize: Annotated[str, Choice(("stretch", "letterbox"))] = "stretch"
    module: str = ""
    kwargs: str = "{}"
    workers: Annotated[str, Choice(("in_turn", "threads", "processes"))] = "in_turn"


@dataclass(frozen=True)
class InnerModelConfig:
    num_steps_conditioning: Few
    cond_channels: Size
    depths: tuple[Few, ...]
    channels: tuple[Size, ...]
    attn_depths: tuple[bool, ...]
    frame_stack: bool = True
    cross_attention: bool = True


@dataclass(frozen=True)
class DenoiserConfig:
    sigma_data: Positive
    sigma_offset_noise: NonNegative
    inner_model: InnerModelConfig


@dataclass(frozen=True)
class MambaConfig:
    d_model: Size
    n_layers: Few
    d_state: Size
    expand_factor: Size
    d_conv: Few
    scan: Annotated[str, Choice(("associative", "sequential"))]


@dataclass(frozen=True)
class RecurrentEmbConfig:
    channels: tuple[Size, ...]
    down: tuple[bool, ...]
    cond_channels: Size
    mamba: MambaConfig
    memory: Annotated[str, Choice(("mamba", "gru", "lstm", "transformer"))] = "mamba"
    window: Size = 128


@dataclass(frozen=True)
class RewEndModelConfig:
    channels: tuple[Size, ...] = (32, 32, 32, 32)
    depths: tuple[Few, ...] = (2, 2, 2, 2)
    attn_depths: tuple[bool, ...] = (False, False, False, False)
    cond_channels: Size = 128
    lstm_dim: Size = 512


@dataclass(frozen=True)
class ActorCriticNetworkConfig:
    channels: tuple[Size, ...]
    down: tuple[bool, ...]
    lstm_dim: Size
    inputs: Annotated[str, Choice(("frames", "frames_and_h"))] = "frames"

    @property
    def sees_h(self) -> bool:
        """Whether the policy sees the memory's h beside each frame; see `envs.observation`."""
        return self.inputs == "frames_and_h"


@dataclass(frozen=True)
class AgentConfig:
    compute_dtype: Annotated[str, Choice(("float32", "bfloat16"))]
    denoiser: DenoiserConfig
    recurrent_emb: RecurrentEmbConfig
    actor_critic: ActorCriticNetworkConfig
    matmul_precision: Annotated[str, Choice(("default", "highest"))] = "default"
    kind: Annotated[str, Choice(("edeline", "diamond"))] = "edeline"
    rew_end_model: RewEndModelConfig = RewEndModelConfig()


@dataclass(frozen=True)
class OptimizerConfig:
    lr: Positive
    weight_decay: NonNegative
    eps: Positive
    lr_warmup_steps: Natural
    max_grad_norm: Positive


@dataclass(frozen=True)
class WorldModelOptimizerConfig(OptimizerConfig):
    max_grad_norm_rew_end: Positive = 100.0


@dataclass(frozen=True)
class ScheduleConfig:
    start_after_epochs: Natural
    steps_first_epoch: Natural
    steps_per_epoch: Natural
    batch_size: Size
    grad_acc_steps: Count
    sample_weights: tuple[Probability, ...] = (0.1, 0.1, 0.1, 0.7)


@dataclass(frozen=True)
class RewardConfig:
    head: Annotated[str, Choice(("sign", "twohot"))] = "sign"
    clip: Annotated[str, Choice(("sign", "none"))] = "sign"


@dataclass(frozen=True)
class SigmaDistributionConfig:
    loc: Number
    scale: NonNegative
    sigma_min: Positive
    sigma_max: Positive


@dataclass(frozen=True)
class WorldModelLossConfig:
    horizon: Size
    num_autoregressive_steps: Annotated[int, Range(0, 64, "not be negative, nor above 64")]
    harmony: bool
    sigma_distribution: SigmaDistributionConfig
    burn_in: Annotated[int, Range(0, 2**16, "not be negative, nor above 65,536")] = 0


@dataclass(frozen=True)
class WorldModelConfig:
    training: ScheduleConfig
    optimizer: WorldModelOptimizerConfig
    loss: WorldModelLossConfig


@dataclass(frozen=True)
class ActorCriticLossConfig:
    backup_every: Size
    gamma: Probability
    lambda_: Probability
    weight_value_loss: NonNegative
    weight_entropy_loss: NonNegative


@dataclass(frozen=True)
class ActorCriticConfig:
    training: ScheduleConfig
    optimizer: OptimizerConfig
    loss: ActorCriticLossConfig


@dataclass(frozen=True)
class DiffusionSamplerConfig:
    num_steps_denoising: Size
    sigma_min: Positive
    sigma_max: Positive
    rho: Positive
    order: Annotated[int, Choice((1, 2))]
    s_churn: NonNegative
    s_tmin: NonNegative
    s_tmax: UpperLimit
    s_noise: NonNegative


@dataclass(frozen=True)
class WorldModelEnvConfig:
    horizon: Count
    diffusion_sampler: DiffusionSamplerConfig
    burn_in: Annotated[int, Range(0, 2**16, "not be negative, nor above 65,536")] = 0


@dataclass(frozen=True)
class FirstEpochConfig:
    min: Count
    max: Count
    threshold_rew: Natural


@dataclass(frozen=True)
class CollectionConfig:
    epsilon: Probability
    num_steps_total: Count
    steps_per_epoch: Count
    first_epoch: FirstEpochConfig
    path_to_static_dataset: str


@dataclass(frozen=True)
class ReplayConfig:
    placement: Annotated[str, Choice(("device", "host"))] = "device"


@dataclass(frozen=True)
class EvaluationConfig:
    every: Count
    num_envs: Size
    num_episodes: Count
    num_final_episodes: Count
    epsilon: Probability
    num_steps_replay: Count
    num_batches: Size
    held_out_share: Probability = 0.0


@dataclass(frozen=True)
class CheckpointingConfig:
    save_state_every: Count
    num_states_to_keep: Count
    save_agent_every: Count
    num_agents_to_keep: Count
    save_every_minutes: Positive = 10.0


@dataclass(frozen=True)
class InitializationConfig:
    path_to_ckpt: str
    load_denoiser: bool
    load_rew_end_model: bool
    load_actor_critic: bool


@dataclass(frozen=True)
class TrainingConfig:
    should: bool
    model_free: bool
    num_final_epochs: Natural


@dataclass(frozen=True)
class WandbConfig:
    mode: Annotated[str, Choice(("disabled", "offline", "online"))]
    project: str
    entity: str
    name: str
    group: str
    tags: tuple[str, ...] = ()
    notes: str = ""


@dataclass(frozen=True)
class Config:
    seed: Natural
    env: EnvConfig
    initialization: InitializationConfig
    training: TrainingConfig
    collection: CollectionConfig
    evaluation: EvaluationConfig
    checkpointing: CheckpointingConfig
    agent: AgentConfig
    world_model: WorldModelConfig
    actor_critic: ActorCriticConfig
    world_model_env: WorldModelEnvConfig
    wandb: WandbConfig
    tensorboard: bool = False
    replay: ReplayConfig = ReplayConfig()
    reward: RewardConfig = RewardConfig()

    @property
    def has_env(self) -> bool:
        """Whether there is an environment to test in."""
        return self.env.id != NO_ENV

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a frame."""
        return self.env.size, self.env.size, 3

    @property
    def context(self) -> int:
        """L, the number of past frames that the denoiser is conditioned on."""
        return self.agent.denoiser.inner_model.num_steps_conditioning

    @property
    def without_effect(self) -> tuple[str, ...]:
        """Keys of what an agent of this kind does not have."""
        if self.agent.kind == "diamond":
            return "config.agent.recurrent_emb", "config.world_model.loss.harmony"
        return "config.agent.rew_end_model", "config.world_model.optimizer.max_grad_norm_rew_end"

    @property
    def burn_in(self) -> int:
        """K, the steps before the newest frame of a start of imagination, which the memory and the policy have seen."""
        return self.world_model_env.burn_in or self.context - 1

    @property
    def segment_length(self) -> int:
        """T, the steps of a world-model training segment: horizon + L."""
        return self.world_model.loss.horizon + self.context

    @property
    def divisible(self) -> int:
        """The number that devices must divide: of both batches, and of the environments where each has its own.

        1 with recorded episodes, of which there may be fewer than devices.
        """
        if self.collection.path_to_static_dataset:
            return 1
        batches = (self.world_model.training.batch_size, self.actor_critic.training.batch_size)
        each_its_own = self.training.model_free or self.replay.placement == "host"
        return math.gcd(*batches, self.env.num_envs if each_its_own else 0)
