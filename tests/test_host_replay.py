"""Runs whose replay is on the host: they learn as those on devices, resume, leave nothing behind, and are refused."""

import errno
import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from edeline_jax.learning import programs
from edeline_jax.replay.buffer import init_replay
from edeline_jax.replay.host import allocate, on_one_device
from edeline_jax.runtime import capacity
from edeline_jax.runtime.errors import ConfigError, UserError
from tests.in_process import Stop, train_here
from tests.runs import RECORDED, flags, read_until, rows, start, state_arrays, summary

HOST = {"replay.placement": "host"}
OF_THE_MACHINE = ("wall_time", "seconds", "memory")  # figures that no two runs share
SMALL = jax.eval_shape(lambda: init_replay(2, 10, 12))


def figures(run: Path) -> list[dict]:
    return [
        {name: x for name, x in row.items() if not any(word in name for word in OF_THE_MACHINE)} for row in rows(run)
    ]


def assert_same_run(one: Path, other: Path) -> None:
    """In every metric and every weight; XLA rounds another way where steps are an argument of a program."""
    lines = figures(one), figures(other)
    assert [list(row) for row in lines[0]] == [list(row) for row in lines[1]]
    for expected, got in zip(*lines, strict=True):
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-6)
    expected, got = state_arrays(one), state_arrays(other)
    assert list(expected) == list(got)
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.ci
def test_a_run_learns_as_with_the_replay_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' losses are the same, too; and it leaves the same files."""
    monkeypatch.setattr(programs, "SECONDS_PER_DISPATCH", 0.0)  # a line for every update
    device = train_here(tmp_path / "device")
    host = train_here(tmp_path / "host", HOST)
    assert "replay: 160 steps, 0.000 GB on the devices" in device
    assert "replay: 160 steps, 0.000 GB in a memory-mapped file of each host" in host
    assert_same_run(tmp_path / "device", tmp_path / "host")
    names = [sorted(path.name for path in (tmp_path / run).iterdir()) for run in ("device", "host")]
    assert names[0] == names[1]


@pytest.mark.ci
def test_a_run_on_recordings_moves_to_the_host_and_back(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends like one that stayed on the device; the held-out episode is on the host as well."""
    monkeypatch.setattr(programs, "SECONDS_PER_DISPATCH", 0.0)
    changes = RECORDED | {"collection.path_to_static_dataset": str(dataset)}
    train_here(tmp_path / "stayed", changes)
    train_here(tmp_path / "moved", changes, stop=Stop("world_model:", breaths=1))
    output = train_here(tmp_path / "moved", changes | HOST, pictures=True, stop=Stop("epoch 1:"))
    assert "changed config.replay.placement: device -> host" in output and "resumed in epoch 1" in output
    train_here(tmp_path / "moved", changes)
    assert_same_run(tmp_path / "stayed", tmp_path / "moved")


@pytest.mark.ci
def test_recordings_on_the_host_are_shown(dataset: Path, tmp_path: Path) -> None:
    """Without a world model's update: the films are drawn from a part of the training replay if none is held out."""
    alone = {"world_model.training.start_after_epochs": 9, "actor_critic.training.start_after_epochs": 9}
    source = {"collection.path_to_static_dataset": str(dataset), "evaluation.held_out_share": 0.0}
    train_here(tmp_path, RECORDED | HOST | alone | source, pictures=True)
    assert (tmp_path / "report" / "imagination-median.gif").exists()


@pytest.mark.ci
def test_a_run_that_collects_resumes_on_the_host(finished: Path) -> None:
    output = train_here(finished, HOST | {"training.num_final_epochs": 2})
    assert "changed config.replay.placement: device -> host" in output and "resumed after epoch 4" in output


@pytest.mark.ci
def test_a_killed_run_leaves_no_file_and_goes_on(finished: Path, tmp_path: Path) -> None:
    process = start(tmp_path / "run", *flags(HOST))
    read_until(process, "epoch 2:")
    process.kill()
    process.communicate()
    assert {path.name for path in (tmp_path / "run").iterdir()} <= {path.name for path in finished.iterdir()}
    assert "resumed" in train_here(tmp_path / "run", HOST)
    assert summary(tmp_path / "run")["progress"]["epoch"] == 4


@pytest.mark.ci
def test_a_replay_larger_than_the_device_is_told_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a run with it there begins."""
    monkeypatch.setattr(capacity, "_device_memory", lambda mesh: 2e6)
    changes = {"collection.num_steps_total": 1600, "evaluation.num_steps_replay": 10}
    with pytest.raises(ConfigError, match=r"config\.collection\.num_steps_total: .*config\.replay\.placement=host"):
        train_here(tmp_path / "device", changes)
    output = train_here(tmp_path / "host", changes | HOST, stop=Stop("replay:"))
    assert "replay: 1,600 steps, 0.002 GB in a memory-mapped file" in output


@pytest.mark.parametrize(("kind", "size"), [("edeline", "2,400"), ("diamond", "4,800")])
def test_a_replay_larger_than_the_disk_is_refused_before_anything_is_made(kind: str, size: str, tmp_path: Path) -> None:
    """DIAMOND keeps what ends led to, too."""
    message = rf"config\.collection\.num_steps_total: .* {size}\.0 GB in {tmp_path}, where .* free .*placement=host"
    with pytest.raises(ConfigError, match=message):
        train_here(tmp_path, HOST | {"collection.num_steps_total": 2_000_000_000, "agent.kind": kind})
    assert not (tmp_path / "checkpoints").exists()


def test_a_disk_that_fills_up_meanwhile_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"config\.replay\.placement: 0\.0 GB of frames cannot be kept in .*No space"):
        allocate(SMALL, str(tmp_path))


def test_the_file_has_no_name_and_its_room(tmp_path: Path) -> None:
    """So nothing outlives the process, and no write finds the disk full."""
    free = shutil.disk_usage(tmp_path).free
    large = jax.eval_shape(lambda: init_replay(1, 10_000, 12_288))
    replay = allocate(large, str(tmp_path))
    assert not any(tmp_path.iterdir()) and not replay.frames.any()
    assert free - shutil.disk_usage(tmp_path).free > 0.9 * replay.frames.nbytes


def test_what_is_shown_of_a_replay_on_the_host() -> None:
    replay = allocate(SMALL, None)
    replay.frames[:], replay.actions[:] = np.arange(20)[..., None].reshape(2, 10, 1), np.arange(20).reshape(2, 10)
    rows = np.zeros((1, 20, 4), np.int32)
    rows[0, :5] = [[0, 0, 3, 1], [1, 0, 6, 1], [0, 3, 4, 1], [1, 6, 4, 0], [0, 7, 3, 0]]
    shown = on_one_device(replay._replace(episodes=jax.numpy.asarray(rows), num_episodes=jax.numpy.array([5])), 6)
    np.testing.assert_array_equal(shown.actions, [[0, 1, 2, 3, 4, 5]])
    np.testing.assert_array_equal(shown.frames[0, :, 0], [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(shown.episodes, [[[0, 0, 3, 1], [0, 3, 3, 0]]])
    assert shown.num_episodes == 2
