"""The lines of a run, from known counters."""

import pytest

from configs.atari import get_config
from edeline_jax.config import pour
from edeline_jax.training.narration import seconds_left
from edeline_jax.workdir.progress import Progress

PACES = {"world_model": 2.0, "actor_critic": 3.0, "step": 0.5, "game": 10.0}


def test_the_time_left_has_updates_steps_and_games() -> None:
    """After 940 of 950 epochs that collect, and 50 to come: tests after 940, 950, ... 1,000, and the last one."""
    values = get_config()
    config = pour(values)
    progress = Progress(epoch=940, epoch_is_open=True, env_steps=99_000)
    updates, steps, games = 60 * 400 * (2 + 3), 1_000 * 0.5, (7 * 4 + 100) * 10
    assert seconds_left(config, progress, PACES) == pytest.approx(updates + steps + games)
    assert seconds_left(config, progress, {"world_model": 2.0}) == 60 * 400 * 2
    after = progress._replace(epoch=1_000, env_steps=100_000, final_epochs=50)
    assert seconds_left(config, after, PACES) == pytest.approx((4 + 100) * 10)
    values.env.id, values.collection.path_to_static_dataset = "none", "somewhere"
    recorded = pour(values)
    assert seconds_left(recorded, Progress(epoch=1), PACES) == 50 * 400 * (2 + 3)


def test_the_time_left_without_a_world_model() -> None:
    """15 steps in each of 4 environments are an update."""
    values = get_config()
    values.training.model_free, values.env.num_envs = True, 4
    progress = Progress(epoch=3, env_steps=94_000)
    assert seconds_left(pour(values), progress, PACES) == pytest.approx(3.0 * 6_000 / 60 + 100 * 10)
