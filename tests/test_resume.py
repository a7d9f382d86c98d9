"""Stopped runs go on."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from edeline_jax.config import pour
from edeline_jax.config.files import load
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.interruption import SECONDS_APART
from tests.in_process import Stop, stopped_like_straight, train_here
from tests.runs import RECORDED, ROOT, assert_same_arrays, environment, flags, rows, start, state_arrays, summary


def hung_up(process: subprocess.Popen, beginning: str) -> str:
    """The end of its terminal once a line begins so; returns the whole output, having checked the exit status.

    A process group and its wrapper pass the same signal on twice; only one that comes later stops at once.
    """
    output = ""
    for line in process.stdout:
        output += line
        if line.startswith(beginning):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
    process.wait(120)
    assert process.returncode == 0, process.stderr.read()
    return output


def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without collection nothing but the updates changes the state; the stop falls into the middle of an epoch.

    The interrupted run dispatches its updates one by one, the other one many at once.
    """
    changes = RECORDED | {
        "collection.path_to_static_dataset": str(dataset),
        "world_model.training.steps_first_epoch": 8,
        "actor_critic.training.steps_first_epoch": 8,
    }
    expected = stopped_like_straight(tmp_path, changes, monkeypatch)
    assert expected["['world_model']['updates']"] == 10


@pytest.mark.ci
def test_a_run_in_a_world_in_jax_ends_like_one_that_was_never_stopped(tmp_path: Path) -> None:
    """Bit by bit, with all its steps: its games are saved. The stops fall into collections, and between updates."""
    changes = {
        "env.id": "recall_16",
        "collection.first_epoch.threshold_rew": 6,
        "collection.first_epoch.max": 120,
        "collection.num_steps_total": 240,
    }
    train_here(tmp_path / "straight", changes)
    for stop in (Stop("replay:", breaths=1), Stop("replay:", breaths=1), Stop("actor_critic:"), Stop("epoch 2:")):
        assert "interrupted in epoch" in train_here(tmp_path / "stopped", changes, stop=stop)
    assert "resumed " in train_here(tmp_path / "stopped", changes)
    assert_same_arrays(state_arrays(tmp_path / "stopped"), state_arrays(tmp_path / "straight"))
    straight, stopped = (sorted((tmp_path / name / "replay").iterdir()) for name in ("straight", "stopped"))
    assert [path.name for path in straight] == [path.name for path in stopped] and len(straight) > 4
    for one, other in zip(straight, stopped, strict=True):
        with np.load(one) as arrays, np.load(other) as same:
            for name in arrays.files:
                np.testing.assert_array_equal(same[name], arrays[name], err_msg=f"{one.name}: {name}")


@pytest.mark.ci
def test_a_world_model_learns_from_recordings_alone(dataset: Path, tmp_path: Path) -> None:
    """The example of docs/data.md, without an environment and without an agent. One of 5 episodes is kept."""
    alone = {"collection.path_to_static_dataset": str(dataset), "actor_critic.training.start_after_epochs": 100}
    output = train_here(tmp_path, RECORDED | alone, pictures=True)
    assert "replay: 51 steps" in output and "held out for tests: 1 episodes, 5 steps" in output
    assert "\nfinal test: pixel error " in output
    end = summary(tmp_path)
    assert end["world_model_test"]["pixel_error"] == rows(tmp_path)[-1]["test_world_model/pixel_error"] > 0
    assert (end["world_model_updates"], end["actor_critic_updates"]) == (5, 0)
    assert (tmp_path / "report" / "imagination-median.gif").exists() and "return_mean" not in end


@pytest.mark.ci
def test_a_run_stopped_in_collection_in_an_update_and_in_a_save_ends_with_its_schedule(tmp_path: Path) -> None:
    changes = {"world_model.training.steps_first_epoch": 40, "training.num_final_epochs": 0}
    output = train_here(tmp_path, changes, stop=Stop("replay:", breaths=1))
    assert "interrupted in epoch 1" in output
    assert len(list((tmp_path / "replay").glob("*.npz"))) == 1  # one part of two
    process = start(tmp_path, *flags(changes))
    output = hung_up(process, "world_model:")
    assert "resumed in epoch 1" in output and "actor_critic:" not in output
    output = train_here(tmp_path, changes, stop=Stop("epoch 1:"))
    assert "resumed in epoch 1, 80 steps" in output and "interrupted in epoch 2" in output
    train_here(tmp_path, changes)
    end = summary(tmp_path)
    assert end["progress"]["env_steps"] == 160 and end["progress"]["epoch"] == 3
    assert (end["world_model_updates"], end["actor_critic_updates"]) == (44, 7)
    counters = [(row["epoch"], row["world_model_updates"], row["actor_critic_updates"]) for row in rows(tmp_path)]
    assert counters == sorted(counters)


@pytest.mark.ci
def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    process = start(tmp_path, "--config.world_model.training.steps_first_epoch=100_000")
    for line in process.stdout:
        if line.startswith("compiling the world_model"):
            break
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(SECONDS_APART + 0.2)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert process.returncode == 128 + signal.SIGINT and time.monotonic() - begin < 10
    assert "stopping" in process.stderr.read()


def test_a_changed_config_is_refused_with_the_list(finished: Path) -> None:
    changes = {"seed": 7, "actor_critic.loss.gamma": 0.9, "wandb.name": "other"}
    list_ = r"config\.seed: 0 -> 7; config\.actor_critic\.loss\.gamma: 0\.985 -> 0\.9\. "
    with pytest.raises(UserError, match=list_):
        train_here(finished, changes)


@pytest.mark.ci
def test_a_finished_run_goes_on_when_its_schedule_grows(finished: Path) -> None:
    """With a key that may change and one that must be allowed."""
    before = json.loads((finished / "config.json").read_text())
    assert pour(load(f"run:{finished}")) == pour(before)  # as the shell script reads it
    output = train_here(finished, {"training.num_final_epochs": 2, "seed": 7}, allowed=["config.seed"])
    assert "changed config.training.num_final_epochs: 1 -> 2" in output
    assert "changed config.seed: 0 -> 7" in output
    assert "resumed after epoch 4" in output
    end = summary(finished)
    assert end["progress"]["epoch"] == 5 and end["world_model_updates"] == 11
    after = json.loads((finished / "config.json").read_text())
    before["training"]["num_final_epochs"], before["seed"] = 2, 7
    assert after == before


def test_resume_wants_the_folder_of_a_run(tmp_path: Path) -> None:
    script = ["bash", "launch/resume.sh", str(tmp_path)]
    result = subprocess.run(script, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert result.returncode == 1 and "usage: bash launch/resume.sh RUN" in result.stderr
