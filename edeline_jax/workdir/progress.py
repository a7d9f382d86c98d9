"""Where a run stands in its schedule: counters, and what they imply."""

from typing import NamedTuple

from edeline_jax.config import Config
from edeline_jax.config.schema import ScheduleConfig


class Progress(NamedTuple):
    """Counters of a run, saved with its state. An epoch that was interrupted is open and goes on where it stood."""

    epoch: int = 0  # begun
    epoch_is_open: bool = False
    epoch_first_step: int = 0  # env_steps when the epoch began
    epoch_has_collected: bool = False
    world_model_target: int = 0  # updates at the end of the epoch
    actor_critic_target: int = 0
    final_epochs: int = 0  # epochs begun after the last collected step
    replay_step: int = 0  # steps in each stream of the replay
    env_steps: int = 0
    wall_time: float = 0.0  # seconds of training so far, over all starts

    def begin_epoch(self, config: Config, updates: tuple[int, int]) -> "Progress":
        """The next epoch, opened; `updates` of world model and actor-critic so far."""
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
        """Where the schedule begins the next epoch: environments in lockstep overshoot, which does not add up."""
        scheduled = self.epoch_first_step + config.collection.steps_per_epoch
        return self.env_steps if self.epoch <= 1 or config.training.model_free else min(scheduled, self.env_steps)

    def collection_is_through(self, config: Config) -> bool:
        """Whether no step is left to collect, or none ever was."""
        c = config.collection
        return bool(c.path_to_static_dataset) or self.env_steps >= c.num_steps_total

    def schedule_is_through(self, config: Config) -> bool:
        """Whether every step was collected, every final epoch done and no epoch is open."""
        final_epochs = 0 if config.training.model_free else config.training.num_final_epochs
        return self.collection_is_through(config) and self.final_epochs >= final_epochs and not self.epoch_is_open

    def collection_target(self, config: Config, minority_rewards: int) -> int:
        """Environment steps at which the collection of this epoch ends, as far as known.

        The first one goes on, a chunk at a time, until rewards of more than one sign were seen (as in the reference).
        """
        c, target = config.collection, self.epoch_first_step + config.collection.steps_per_epoch
        if self.epoch == 1:
            searching = self.env_steps >= c.first_epoch.min and minority_rewards < c.first_epoch.threshold_rew
            target = min(self.env_steps + c.steps_per_epoch, c.first_epoch.max) if searching else c.first_epoch.min
        return min(target, c.num_steps_total)

    @classmethod
    def from_json(cls, values: object) -> "Progress":
        """Raises ValueError where a counter is missing, unknown or of the wrong kind."""
        if not isinstance(values, dict) or set(values) != set(cls._fields):
            raise ValueError("counters are missing or unknown")
        for name, default in cls()._asdict().items():
            if type(values[name]) is not type(default) or values[name] < 0:
                raise ValueError(f"{name} cannot be {values[name]!r}")
        return cls(**values)


def updates_in_epoch(schedule: ScheduleConfig, epoch: int) -> int:
    """Updates of one network in epoch 1, 2, ..."""
    if epoch <= schedule.start_after_epochs:
        return 0
    return schedule.steps_first_epoch if epoch == schedule.start_after_epochs + 1 else schedule.steps_per_epoch
