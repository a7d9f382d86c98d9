"""The schedule of a run, without running it."""

import dataclasses

from configs.atari import get_config as paper
from edeline_jax.config import pour
from edeline_jax.workdir.progress import Progress, updates_in_epoch
from tests.tiny_config import get_config

CONFIG = pour(get_config())


def test_the_updates_of_the_first_epoch_are_those_of_epoch_1() -> None:
    later = dataclasses.replace(CONFIG.actor_critic.training, start_after_epochs=2)
    assert [updates_in_epoch(CONFIG.actor_critic.training, epoch) for epoch in (1, 2, 3)] == [3, 2, 2]
    assert [updates_in_epoch(later, epoch) for epoch in (1, 2, 3, 4, 5)] == [0, 0, 2, 2, 2]


def test_the_schedule_of_the_paper() -> None:
    """950 epochs that collect and 50 that do not: 409,600 and 404,600 updates."""
    config = pour(paper("breakout"))
    progress, updates = Progress(), [0, 0]
    while not progress.schedule_is_through(config):
        progress = progress.begin_epoch(config, tuple(updates))
        while not progress.epoch_has_collected:
            progress = progress.count_stock(config, minority_rewards=10)
            if (target := progress.collection_target(config)) <= progress.env_steps:
                break
            progress = progress._replace(env_steps=target)
        updates = [progress.world_model_target, progress.actor_critic_target]
        progress = progress._replace(epoch_is_open=False)
    assert (progress.epoch, progress.final_epochs, progress.env_steps) == (1000, 50, 100_000)
    assert updates == [409_600, 404_600]


def test_environments_that_overshoot_do_not_shift_the_schedule() -> None:
    """Epochs collect 40 steps; environments that end each collection 3 steps late have to make up for it."""
    progress, targets = Progress(), []
    config = dataclasses.replace(CONFIG, collection=dataclasses.replace(CONFIG.collection, num_steps_total=190))
    progress = progress.begin_epoch(config, (0, 0))._replace(env_steps=40).count_stock(config, minority_rewards=0)
    for _ in range(4):
        targets.append(progress.collection_target(config))
        progress = progress._replace(env_steps=targets[-1] + 3, epoch_is_open=False).begin_epoch(config, (0, 0))
    assert targets == [80, 123, 163, 190]


def test_the_stock_grows_until_enough_rewards_differ() -> None:
    """From 80 steps on, 40 at a time, up to 150; the 40 of epoch 1 come on top, and later epochs have theirs."""
    first_epoch = dataclasses.replace(CONFIG.collection.first_epoch, min=80, max=150, threshold_rew=5)
    config = dataclasses.replace(CONFIG, collection=dataclasses.replace(CONFIG.collection, first_epoch=first_epoch))
    begun = Progress().begin_epoch(config, (0, 0))
    targets = {
        (steps, rewards): begun._replace(env_steps=steps).count_stock(config, rewards).collection_target(config)
        for steps in (0, 40, 80, 120, 150)
        for rewards in (4, 5)
    }
    assert targets == {
        **{(0, 4): 80, (40, 4): 80, (80, 4): 120, (120, 4): 150, (150, 4): 160},  # 160 is the run's total
        **{(0, 5): 80, (40, 5): 80, (80, 5): 120, (120, 5): 160, (150, 5): 160},
    }
    complete = begun._replace(env_steps=80).count_stock(config, 5)._replace(env_steps=120)
    assert complete.count_stock(config, 0).collection_target(config) == 120  # it does not grow again
    later = complete._replace(epoch_is_open=False).begin_epoch(config, (0, 0))
    assert later.collection_target(config) == 160


def test_final_epochs_begin_when_everything_is_collected() -> None:
    progress, final = Progress(), []
    for steps in (80, 120, 160, 160):
        progress = progress.begin_epoch(CONFIG, (0, 0))._replace(env_steps=steps)
        assert not progress.schedule_is_through(CONFIG)  # an epoch is open
        progress = progress._replace(epoch_is_open=False)
        final.append((progress.final_epochs, progress.schedule_is_through(CONFIG)))
    assert final == [(0, False), (0, False), (0, False), (1, True)]
