"""The schedule of a run, without running it."""

import dataclasses

from edeline_jax.config import pour
from edeline_jax.training.progress import Progress, updates_in_epoch
from tests.tiny_config import get_config

CONFIG = pour(get_config())


def test_a_network_that_begins_later_has_its_first_epoch_then() -> None:
    later = dataclasses.replace(CONFIG.actor_critic.training, start_after_epochs=2)
    assert [updates_in_epoch(later, epoch) for epoch in (1, 2, 3, 4, 5)] == [0, 0, 3, 2, 2]


def test_environments_that_overshoot_do_not_shift_the_schedule() -> None:
    """Epochs collect 40 steps; environments that end each collection 3 steps late have to make up for it."""
    progress, targets = Progress(), []
    for _ in range(3):
        progress = progress.begin_epoch(CONFIG, (0, 0))
        targets.append(progress.collection_target(CONFIG, minority_rewards=0))
        progress = progress._replace(env_steps=targets[-1] + 3, epoch_is_open=False)
    assert targets == [80, 123, 160]
