"""The lines of a run, from known counters."""

import jax
import pytest

from configs.atari import get_config
from edeline_jax.config import pour
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.runtime.files import to_path
from edeline_jax.training.narration import introduction, seconds_left
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


@pytest.mark.parametrize(
    ("game", "steps", "expected"),
    [
        ("breakout", 100_000, ["EDELINE 250.5, DIAMOND 132.5, human 30.5, random play 1.7"]),
        ("road_runner", 200_000, ["EDELINE 32,020.0, DIAMOND 20,673.2, human 7,845.0, random play 11.5"]),
        ("breakout", 99_999, []),
        ("zaxxon", 100_000, []),
    ],
)
def test_a_long_run_of_a_published_game_says_what_to_expect(game: str, steps: int, expected: list[str]) -> None:
    values = get_config(game)
    values.collection.num_steps_total = steps
    lines = list(introduction(pour(values), to_path("run"), make_mesh(jax.devices()[:1])))
    assert lines[0] == f"edeline-jax: {game}, seed 0, in run" and lines[1].startswith("devices: 1 x ")
    assert lines[2:] == [f"published after 100,000 steps: {scores}" for scores in expected]
