"""The schedule of a run, without running it."""

import dataclasses

from edeline_jax.config import pour
from edeline_jax.workdir.progress import Progress, updates_in_epoch
from tests.tiny_config import get_config

CONFIG = pour(get_config())


def test_a_network_that_begins_later_has_its_first_epoch_then() -> None:
    later = dataclasses.replace(CONFIG.actor_critic.training, start_after_epochs=2)
    assert [updates_in_epoch(later, epoch) for epoch in (1, 2, 3, 4, 5)] == [0, 0, 3, 2, 2]


def test_environments_that_overshoot_do_not_shift_the_schedule() -> None:
    """Epochs collect 40 steps; environments that end each collection 3 steps late have to make up for it."""
    progress, targets = Progress(), []
    config = dataclasses.replace(CONFIG, collection=dataclasses.replace(CONFIG.collection, num_steps_total=190))
    for _ in range(4):
        progress = progress.begin_epoch(config, (0, 0))
        targets.append(progress.collection_target(config, minority_rewards=0))
        progress = progress._replace(env_steps=targets[-1] + 3, epoch_is_open=False)
    assert targets == [80, 123, 163, 190]


def test_the_first_collection_goes_on_until_enough_rewards_differ() -> None:
    """From 80 steps on, 40 at a time, up to 150; later ones do not."""
    first_epoch = dataclasses.replace(CONFIG.collection.first_epoch, max=150, threshold_rew=5)
    config = dataclasses.replace(CONFIG, collection=dataclasses.replace(CONFIG.collection, first_epoch=first_epoch))
    begun = Progress().begin_epoch(config, (0, 0))
    targets = {
        (steps, rewards): begun._replace(env_steps=steps).collection_target(config, rewards)
        for steps in (0, 40, 80, 120, 150)
        for rewards in (4, 5)
    }
    assert targets == {
        **{(0, 4): 80, (40, 4): 80, (80, 4): 120, (120, 4): 150, (150, 4): 150},
        **{(steps, 5): 80 for steps in (0, 40, 80, 120, 150)},
    }
    later = begun._replace(env_steps=80, epoch_is_open=False).begin_epoch(config, (0, 0))
    assert later.collection_target(config, minority_rewards=0) == 120


def test_final_epochs_begin_when_everything_is_collected() -> None:
    progress, final = Progress(), []
    for steps in (80, 120, 160, 160):
        progress = progress.begin_epoch(CONFIG, (0, 0))._replace(env_steps=steps)
        assert not progress.schedule_is_through(CONFIG)  # an epoch is open
        progress = progress._replace(epoch_is_open=False)
        final.append((progress.final_epochs, progress.schedule_is_through(CONFIG)))
    assert final == [(0, False), (0, False), (0, False), (1, True)]
