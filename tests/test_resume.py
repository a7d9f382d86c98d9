"""Stopped runs go on: through the real entry point."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.runs import (
    ROOT,
    assert_one_line_error,
    environment,
    finished_run,
    module,
    rows,
    start,
    state_arrays,
    summary,
    train,
    write_recordings,
)

COLLECT_LONG = "--config.collection.first_epoch.min=2000", "--config.collection.first_epoch.max=2000"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_recordings(folder / "recordings", [9, 14, 5, 20, 8])
    result = module("edeline_jax.dataset", "import", folder / "recordings", folder / "dataset")
    assert result.returncode == 0, result.stderr
    return folder / "dataset"


def stop_at(process: subprocess.Popen, beginning: str, delay: float = 0.0) -> str:
    """SIGTERM once a line begins so; returns the whole output, having checked the exit status."""
    output = ""
    for line in process.stdout:
        output += line
        if line.startswith(beginning):
            time.sleep(delay)
            process.send_signal(signal.SIGTERM)
    process.wait(120)
    assert process.returncode == 0, process.stderr.read()
    return output


def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(dataset: Path, tmp_path: Path) -> None:
    """Without collection nothing but the updates changes the state; the stop falls into the middle of an epoch."""
    fixed = [
        "--config.env.id=none",
        f"--config.collection.path_to_static_dataset={dataset}",
        "--config.training.num_final_epochs=2",
        "--config.world_model.training.steps_first_epoch=60",
        "--config.actor_critic.training.steps_first_epoch=60",
    ]
    straight = train(tmp_path / "straight", *fixed)
    assert straight.returncode == 0, straight.stderr
    output = stop_at(start(tmp_path / "stopped", *fixed), "actor_critic:")
    assert "interrupted in epoch 1" in output
    resumed = train(tmp_path / "stopped", *fixed)
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed in epoch 1" in resumed.stdout
    expected, got = state_arrays(tmp_path / "straight"), state_arrays(tmp_path / "stopped")
    assert list(expected) == list(got)
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name)
    assert expected["['world_model']['updates']"] == 62


def test_a_world_model_learns_from_recordings_alone(dataset: Path, tmp_path: Path) -> None:
    """The README's example, without an environment and without an agent."""
    alone = ["--config.actor_critic.training.start_after_epochs=100", "--config.training.num_final_epochs=2"]
    fixed = [f"--config.collection.path_to_static_dataset={dataset}", "--config.env.id=none"]
    result = train(tmp_path, *fixed, *alone)
    assert result.returncode == 0, result.stderr
    end = summary(tmp_path)
    assert (end["world_model_updates"], end["actor_critic_updates"]) == (5, 0)
    assert (tmp_path / "report" / "imagination.gif").exists() and "return_mean" not in end


def test_sigterm_in_collection_in_an_update_and_in_a_save(tmp_path: Path) -> None:
    """One run, stopped three times; at its end the counters are those of the schedule."""
    long = [*COLLECT_LONG, "--config.collection.num_steps_total=2040", "--config.training.num_final_epochs=0"]
    long += ["--config.world_model.training.steps_first_epoch=40", "--config.collection.first_epoch.threshold_rew=0"]
    output = stop_at(start(tmp_path, *long), "replay:", delay=0.5)
    assert "interrupted in epoch 1" in output and "compiling" not in output
    collected = len(list((tmp_path / "replay").glob("*.npz")))
    assert 0 < collected < 50
    output = stop_at(start(tmp_path, *long), "world_model:")
    assert "resumed in epoch 1" in output and "compiling the actor_critic" not in output
    output = stop_at(start(tmp_path, *long), "epoch 1:")
    assert "resumed in epoch 1, 2000 steps" in output
    result = train(tmp_path, *long)
    assert result.returncode == 0, result.stderr
    end = summary(tmp_path)
    assert end["progress"]["env_steps"] == 2040 and end["progress"]["epoch"] == 2
    assert (end["world_model_updates"], end["actor_critic_updates"]) == (42, 5)
    counters = [(row["epoch"], row["world_model_updates"], row["actor_critic_updates"]) for row in rows(tmp_path)]
    assert counters == sorted(counters)


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    process = start(tmp_path, "--config.world_model.training.steps_first_epoch=100_000")
    for line in process.stdout:
        if line.startswith("compiling the world_model"):
            break
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert process.returncode == 128 + signal.SIGINT and time.monotonic() - begin < 10
    assert "stopping" in process.stderr.read()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("run")
    finished_run(workdir)
    return workdir


def test_a_changed_config_is_refused_with_the_list(finished: Path) -> None:
    result = train(finished, "--config.seed=7", "--config.actor_critic.loss.gamma=0.9", "--config.wandb.name=other")
    assert_one_line_error(result, "config.seed: 0 -> 7", "config.actor_critic.loss.gamma: 0.985 -> 0.9")
    assert "config.wandb.name" not in result.stderr


def test_a_finished_run_goes_on_when_its_schedule_grows(finished: Path) -> None:
    """From the shell script, with a key that may change and one that must be allowed."""
    shorter = ["--config.training.num_final_epochs=2", "--config.actor_critic.loss.gamma=0.9"]
    allow = "--allow_config_change=config.actor_critic.loss.gamma"
    before = json.loads((finished / "config.json").read_text())
    line = ["--config=configs/run.py:" + str(finished), f"--workdir={finished}", *shorter, allow]
    result = module("edeline_jax.train", *line)
    assert result.returncode == 0, result.stderr
    assert "changed config.training.num_final_epochs: 1 -> 2" in result.stdout
    assert "resumed after epoch 4" in result.stdout
    end = summary(finished)
    assert end["progress"]["epoch"] == 5 and end["world_model_updates"] == 11
    after = json.loads((finished / "config.json").read_text())
    before["training"]["num_final_epochs"], before["actor_critic"]["loss"]["gamma"] = 2, 0.9
    assert after == before


def test_resume_wants_the_folder_of_a_run(tmp_path: Path) -> None:
    script = ["bash", "launch/resume.sh", str(tmp_path)]
    result = subprocess.run(script, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert result.returncode == 1 and "usage: bash launch/resume.sh RUN" in result.stderr
