"""The fixed arguments of an update program."""

from typing import Any, NamedTuple

import jax

from edeline_jax.acting.replay_keeper import keeps_finals
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.config.schema import (
    ActorCriticConfig,
    ActorCriticLossConfig,
    OptimizerConfig,
    WorldModelConfig,
    WorldModelEnvConfig,
    WorldModelLossConfig,
)
from edeline_jax.replay.sampling import Weights


class LearnerSetup(NamedTuple):
    """How one network learns.

    batch_size: of one part of an update, over all devices.
    num_parts: the parts of an update, whose gradients are averaged.
    sample_weights: of the age groups of episodes; see `replay.sampling`.
    """

    optimizer: OptimizerConfig
    loss: WorldModelLossConfig | ActorCriticLossConfig
    batch_size: int
    num_parts: int
    sample_weights: Weights


class Setup(NamedTuple):
    """Networks, device axis, and what updates read of the config; hashable, bound once when a program is built.

    A run with another schedule has the same setup, and so the same programs.

    frame_shape: (H, W, C).
    context: L, the number of past frames that the denoiser is conditioned on.
    burn_in: K, the steps before the newest frame of a start of imagination; at least L - 1.
    segment_length: T, the steps of a world-model training segment.
    reward_clip: how rewards count for the critic; see `replay.reward.clipped`.
    keeps_finals: whether the replay keeps what ends led to.
    axis: the mapped axis over which devices share a batch; None on a single device without a mesh.
    """

    agent: Agent
    frame_shape: tuple[int, int, int]
    context: int
    burn_in: int
    segment_length: int
    world_model: LearnerSetup
    actor_critic: LearnerSetup
    world_model_env: WorldModelEnvConfig
    reward_clip: str
    keeps_finals: bool
    axis: str | None

    @property
    def num_devices(self) -> int:
        """The devices along the axis."""
        return 1 if self.axis is None else jax.lax.axis_size(self.axis)

    def share(self, batch_size: int) -> int:
        """The size of this device's share of a batch."""
        return batch_size // self.num_devices

    def total(self, shares: Any) -> Any:
        """The sum of the devices' shares, equal on all of them."""
        return shares if self.axis is None else jax.lax.psum(shares, self.axis)

    @property
    def device(self) -> jax.Array | int:
        """This device's index along the axis."""
        return 0 if self.axis is None else jax.lax.axis_index(self.axis)


def make_setup(agent: Agent, config: Config, axis: str | None = None) -> Setup:
    """The setup of a config's updates; see `Setup` for `axis`."""

    def learner(c: WorldModelConfig | ActorCriticConfig) -> LearnerSetup:
        return LearnerSetup(
            c.optimizer, c.loss, c.training.batch_size, c.training.grad_acc_steps, c.training.sample_weights
        )

    networks = learner(config.world_model), learner(config.actor_critic)
    sizes = config.frame_shape, config.context, config.burn_in, config.segment_length
    return Setup(agent, *sizes, *networks, config.world_model_env, config.reward.clip, keeps_finals(config), axis)
