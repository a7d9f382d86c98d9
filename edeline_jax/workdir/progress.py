"""A run's position in its schedule: counters, and what is left to do."""

from typing import NamedTuple

from edeline_jax.config import Config
from edeline_jax.config.schema import ScheduleConfig


class Progress(NamedTuple):
    """Counters of a run, saved with its state. An interrupted epoch stays open and continues where it stopped."""

    epoch: int = 0  # the newest that has begun
    epoch_is_open: bool = False
    epoch_first_step: int = 0  # env_steps when the epoch began; 0 in the first one until its stock is complete
    epoch_has_collected: bool = False
    world_model_target: int = 0  # updates at the end of the epoch
    actor_critic_target: int = 0
    final_epochs: int = 0  # epochs begun after the last collected step
    replay_step: int = 0  # steps in each stream of the replay
    env_steps: int = 0
    wall_time: float = 0.0  # seconds of training so far, over all starts

    def begin_epoch(self, config: Config, updates: tuple[int, int]) -> "Progress":
        """The progress with the next epoch opened; `updates` of world model and actor-critic so far."""
        epoch = self.epoch + 1
        has_collected = self.collection_is_through(config)
        return self._replace(
            epoch=epoch,
            epoch_is_open=True,
            epoch_first_step=self._next_first_step(config),
            epoch_has_collected=has_collected,
            world_model_target=updates[0] + updates_in_epoch(config.world_model.training, epoch),
            actor_critic_target=updates[1] + updates_in_epoch(config.actor_critic.training, epoch),
            final_epochs=self.final_epochs + has_collected,
        )

    def _next_first_step(self, config: Config) -> int:
        """The scheduled first step of the next epoch.

        Environments in lockstep overshoot an epoch's steps; counting from the schedule keeps that from adding up.
        """
        scheduled = self.epoch_first_step + config.collection.steps_per_epoch
        return self.env_steps if self.epoch <= 1 or config.training.model_free else min(scheduled, self.env_steps)

    def collection_is_through(self, config: Config) -> bool:
        """Whether all steps are collected, or the run learns from a static dataset."""
        c = config.collection
        return bool(c.path_to_static_dataset) or self.env_steps >= c.num_steps_total

    def schedule_is_through(self, config: Config) -> bool:
        """Whether all steps are collected, all final epochs are done and no epoch is open."""
        final_epochs = 0 if config.training.model_free else config.training.num_final_epochs
        return self.collection_is_through(config) and self.final_epochs >= final_epochs and not self.epoch_is_open

    def count_stock(self, config: Config, minority_rewards: int) -> "Progress":
        """Lets the first epoch begin where its stock is complete.

        The stock is `first_epoch.min` steps, then one chunk at a time up to `first_epoch.max` until `threshold_rew`
        steps have a reward of another sign than the most frequent one. The epoch's own steps come on top of it, as in
        the reference.
        """
        first = config.collection.first_epoch
        enough = minority_rewards >= first.threshold_rew or self.env_steps >= first.max
        complete = self._gathers_stock and self.env_steps >= first.min and enough
        return self._replace(epoch_first_step=self.env_steps) if complete else self

    def collection_target(self, config: Config) -> int:
        """Environment steps at which the collection of this epoch ends, as far as known now."""
        c = config.collection
        target = self.epoch_first_step + c.steps_per_epoch
        if self._gathers_stock:
            searching = self.env_steps >= c.first_epoch.min
            target = min(self.env_steps + c.steps_per_epoch, c.first_epoch.max) if searching else c.first_epoch.min
        return min(target, c.num_steps_total)

    @property
    def _gathers_stock(self) -> bool:
        return self.epoch == 1 and self.epoch_first_step == 0

    @classmethod
    def from_json(cls, values: object) -> "Progress":
        """Reads the counters back; raises ValueError if one is missing, unknown, negative or of the wrong type."""
        if not isinstance(values, dict) or set(values) != set(cls._fields):
            raise ValueError("counters are missing or unknown")
        for name, default in cls()._asdict().items():
            if type(values[name]) is not type(default) or values[name] < 0:
                raise ValueError(f"{name} cannot be {values[name]!r}")
        return cls(**values)


def updates_in_epoch(schedule: ScheduleConfig, epoch: int) -> int:
    """The number of updates of one network in the given epoch, counted from 1.

    A network that begins later has no first epoch, as in the reference.
    """
    if epoch <= schedule.start_after_epochs:
        return 0
    return schedule.steps_first_epoch if epoch == 1 else schedule.steps_per_epoch
