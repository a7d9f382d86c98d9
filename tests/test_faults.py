"""What goes wrong on real machines: one clear line, and nothing is lost."""

import errno
import fcntl
import logging
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from edeline_jax.config import pour
from edeline_jax.dataset.__main__ import main as dataset
from edeline_jax.dataset.arrays import DatasetError
from edeline_jax.evaluation.tester import GameTester
from edeline_jax.learning import programs
from edeline_jax.learning.not_finite import NotFiniteError
from edeline_jax.learning.programs import UpdateProgram
from edeline_jax.runtime import command_line
from edeline_jax.runtime.errors import ConfigError, UserError
from edeline_jax.workdir import wandb_log
from edeline_jax.workdir.checkpoints import Checkpoints
from edeline_jax.workdir.lock import lock
from edeline_jax.workdir.opening import open_workdir
from tests.in_process import call, train_here
from tests.runs import assert_one_line_error, rows, summary, train
from tests.tiny_config import get_config

MORE = "training.num_final_epochs"


class Crash(Exception):
    pass


def numbers(workdir: Path) -> list[int]:
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())


def small_disk(folder: Path, kib: int) -> tuple[str, ...]:
    """A command that runs another on a disk of its own at `folder`, with so much room left; its files come back.

    Where no disk can be mounted, a limit on the size of files stands for it.
    """
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    if shutil.which("unshare") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        return ("bash", "-c", f'ulimit -f {kib} && exec "$@"', "limited")
    used = int(subprocess.run(["du", "-sk", folder], capture_output=True, text=True).stdout.split()[0])
    copy = folder.with_name("copy")
    script = f"""
        cp -a {folder} {copy} && mount -t tmpfs -o size={used + kib}k tmpfs {folder} || exit 99
        cp -a {copy}/. {folder} || exit 99
        "$@"; status=$?
        rm -r {copy} && cp -a {folder} {copy}; exit $status"""
    return ("unshare", "-rm", "bash", "-c", script, "limited")


@pytest.mark.ci
def test_a_full_disk_stops_with_one_line_and_earlier_checkpoints_intact(finished: Path) -> None:
    """The arrays of a state no longer fit, small files do."""
    before = numbers(finished)
    disk = small_disk(finished, kib=100)
    no_cache_writes = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000000"}  # others read that cache too
    result = train(finished, f"--config.{MORE}=2", before=disk, variables=no_cache_writes)
    refused = "No space left" if disk[0] == "unshare" else "File too large"
    assert_one_line_error(result, refused, "earlier checkpoints are intact", "make room")
    left = finished.with_name("copy") if disk[0] == "unshare" else finished
    assert numbers(left) == before
    assert not list(left.rglob("*.partial"))


@pytest.mark.parametrize("name", ["summary.json", "metrics.jsonl", "config.json"])
def test_a_folder_in_place_of_a_file_is_named(finished: Path, name: str) -> None:
    (finished / name).unlink()
    (finished / name).mkdir()
    with pytest.raises((OSError, UserError), match=f"{name}.*[Dd]irectory|[Dd]irectory.*{name}"):  # each is one line
        train_here(finished, {MORE: 2})


def test_a_damaged_newest_checkpoint_is_set_aside_and_the_one_before_used(
    finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest = finished / "checkpoints" / str(numbers(finished)[-1])
    largest = max((path for path in newest.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    with caplog.at_level(logging.WARNING, "edeline_jax"):
        assert "resumed in epoch 4, 160 steps" in train_here(finished, {MORE: 2})  # as saved before its test
    assert f"checkpoint {newest.name} cannot be read" in caplog.text
    assert summary(finished)["progress"]["epoch"] == 5 and summary(finished)["world_model_updates"] == 11
    assert len(list((finished / "set_aside").iterdir())) == 1


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def unreadable(path: Path) -> None:
    """Replaces a file by a link to itself, which the operating system refuses to open, for whichever user."""
    path.unlink()
    path.symlink_to(path)


def test_a_lower_total_keeps_every_step_that_is_stored(finished: Path) -> None:
    output = train_here(finished, {"collection.num_steps_total": 120, MORE: 2})
    assert "resumed after epoch 4, 160 steps" in output and "replay: 160 steps" in output
    assert summary(finished)["progress"]["epoch"] == 5


@pytest.mark.ci
def test_collected_steps_without_a_checkpoint_are_not_deleted(finished: Path) -> None:
    shutil.rmtree(finished / "checkpoints")
    before = contents(finished / "replay")
    with pytest.raises(
        UserError, match=r"no checkpoint that says how far .*bring checkpoints/ back, or move replay/ away"
    ):
        train_here(finished, {MORE: 2})
    assert contents(finished / "replay") == before
    shutil.move(finished / "replay", finished / "kept")
    assert "no checkpoint: begins with the weights of" in train_here(finished, {MORE: 2})


def test_a_config_that_the_collected_steps_do_not_fit_is_refused_before_anything_is_written(finished: Path) -> None:
    before = contents(finished)
    with pytest.raises(
        ConfigError, match=r"npz: frames is uint8 \(8, 5, .*do not fit config.env; take the change back"
    ):
        train_here(finished, {"env.num_envs": 4, MORE: 2}, allowed=["config.env.num_envs"])
    after = contents(finished)
    assert {name for name in before | after if before.get(name) != after.get(name)} <= {"lock"}
    assert "resumed after epoch 4, 160 steps" in train_here(finished, {MORE: 2})


def test_a_command_that_reads_changes_nothing(finished: Path, tmp_path: Path) -> None:
    """Neither where the config does not fit, nor where a file is damaged."""
    config = finished / "config.json"
    config.write_text(config.read_text().replace('"num_envs": 8', '"num_envs": 2', 1))
    before = contents(finished)
    with pytest.raises(DatasetError, match="frames is uint8"):
        call(dataset, "export", finished, tmp_path / "one")
    config.write_text(config.read_text().replace('"num_envs": 2', '"num_envs": 8', 1))
    chunk = min((finished / "replay").iterdir())
    chunk.write_bytes(chunk.read_bytes()[:-100])
    call(dataset, "export", finished, tmp_path / "two")
    assert {name for name, content in contents(finished).items() if before[name] != content} == {
        "config.json",
        f"replay/{chunk.name}",
    }


@pytest.mark.parametrize("kind", ["replay", "checkpoints"])
def test_what_the_system_cannot_read_is_not_damaged(finished: Path, kind: str) -> None:
    arrays = {
        "replay": finished / "replay",
        "checkpoints": finished / "checkpoints" / str(numbers(finished)[-1]) / "state",
    }
    for path in sorted(path for path in arrays[kind].rglob("*") if path.is_file() and path.stat().st_size > 500):
        unreadable(path)
    before = sorted(contents(finished))
    with pytest.raises(UserError, match=r"cannot be read .*Too many levels of symbolic links"):
        train_here(finished, {MORE: 2})
    assert sorted(contents(finished)) == before and not (finished / "set_aside").exists()


def test_a_reader_that_ran_out_of_files_damages_nothing(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*args: object) -> None:
        raise ValueError(f"RESOURCE_EXHAUSTED: Error opening local file: {os.strerror(errno.EMFILE)}")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_read", read)
        with pytest.raises(UserError, match=r"cannot be read now \(Too many open files\); nothing was changed"):
            train_here(finished, {MORE: 2})
    assert "resumed after epoch 4" in train_here(finished, {MORE: 2})


def test_a_program_that_does_not_compile_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_, compiled = UpdateProgram.compile, []

    def fail(program: UpdateProgram, *args: object) -> str:
        compiled.append(program)
        if len(compiled) == 2:
            raise RuntimeError("no room for the actor-critic")
        return compile_(program, *args)

    monkeypatch.setattr(UpdateProgram, "compile", fail)
    with pytest.raises(RuntimeError, match="no room"):
        train_here(tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists() and not (tmp_path / "replay").exists()


def test_both_programs_compile_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_, both = UpdateProgram.compile, threading.Barrier(2)

    def meet(program: UpdateProgram, *args: object) -> str:
        both.wait(timeout=60)
        return compile_(program, *args)

    said: list[str] = []

    def crash(line: str) -> None:
        said.append(line)
        if line.startswith("actor_critic compiled"):
            raise Crash

    monkeypatch.setattr(UpdateProgram, "compile", meet)
    with pytest.raises(Crash):
        train_here(tmp_path, at_line=crash)
    assert said[-3] == "compiling the world_model and the actor_critic update ..."
    assert said[-2].startswith("world_model compiled in ")


@pytest.mark.ci
def test_a_test_that_fails_does_not_cost_its_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("the emulator has died")

    with monkeypatch.context() as patch:
        patch.setattr(GameTester, "test", fail)
        with pytest.raises(RuntimeError, match="emulator"):
            train_here(tmp_path, {"evaluation.every": 1})
    output = train_here(tmp_path, {"evaluation.every": 1})
    assert "resumed in epoch 1, 80 steps, updates (3, 3)" in output
    assert [row["epoch"] for row in rows(tmp_path) if "test/return_mean" in row] == [1, 2, 3, 4, 4]
    assert summary(tmp_path)["world_model_updates"] == 9


@pytest.mark.ci
def test_a_long_epoch_is_saved_while_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the middle of the first epoch, behind its collection and 8 updates of the world model."""

    def crash(line: str) -> None:
        if line.startswith("actor_critic:"):
            raise Crash

    changes = {
        "checkpointing.save_every_minutes": 1e-6,
        **{f"{network}.training.steps_first_epoch": 8 for network in ("world_model", "actor_critic")},
    }
    monkeypatch.setattr(programs, "SECONDS_PER_DISPATCH", 0.0)  # one update each
    with pytest.raises(Crash):
        train_here(tmp_path, changes, at_line=crash)
    output = train_here(tmp_path, changes)
    resumed = re.search(r"resumed in epoch 1, 80 steps, updates \(8, (\d+)\)", output)
    assert resumed is not None and 0 < int(resumed[1]) < 8, output
    assert summary(tmp_path)["world_model_updates"] == 14


def test_a_second_process_is_refused(finished: Path) -> None:
    with (finished / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"another process .* is at work there"):
            train_here(finished)


@pytest.mark.ci
def test_an_unreachable_wandb_neither_stops_nor_slows_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing listens on port 9; wandb's process would go on trying for longer than it is waited for."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb_log, "SECONDS_TO_FINISH", 1.0)
    begin = time.monotonic()
    with caplog.at_level(logging.WARNING, "edeline_jax"):
        train_here(tmp_path, {"wandb.mode": "online"})
    assert time.monotonic() - begin < 200
    assert summary(tmp_path)["world_model_updates"] == 9
    assert "wandb did not finish within 1 s; metrics.jsonl is complete" in caplog.text
    assert [row["epoch"] for row in rows(tmp_path) if "world_model/loss_rew" in row][-1] == 4


@pytest.mark.ci
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_batch(tmp_path: Path) -> None:
    optimizer = {"world_model.optimizer.lr": 1e30, "world_model.optimizer.lr_warmup_steps": 0}
    message = "loss_.* of the world_model not finite in update 2, epoch 1.*; none was saved"
    with pytest.raises(NotFiniteError, match=message):
        train_here(tmp_path, optimizer)
    with np.load(tmp_path / "not_finite_world_model_2.npz") as batch:
        assert batch["frames"].shape == (1, 8, 10, 20, 20, 3) and np.abs(batch["frames"]).max() < 1.001
        assert batch["mask"].any() and set(np.unique(batch["actions"])) <= {0, 1, 2}


@pytest.mark.parametrize("key", ["collection.num_steps_total", "evaluation.num_steps_replay"])
def test_a_config_that_cannot_fit_is_refused_before_anything_is_made(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"config\.{key}: .* GB.*make them smaller"):
        train_here(tmp_path, {key: 2_000_000_000})
    assert not (tmp_path / "checkpoints").exists()


def test_epochs_longer_than_the_run_take_no_more_memory_than_it(tmp_path: Path) -> None:
    train_here(tmp_path, {"collection.steps_per_epoch": 2_000_000_000, "training.num_final_epochs": 0})
    assert summary(tmp_path)["progress"]["env_steps"] == 160


NO_ROOM = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\nlong text"


@pytest.mark.parametrize("where", ["compile", "run"])
def test_a_device_without_room_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def full(*args: object) -> None:
        raise jax.errors.JaxRuntimeError(NO_ROOM)

    monkeypatch.setattr(UpdateProgram, where, full)
    with pytest.raises(
        UserError, match=r"out of memory \(RESOURCE_EXHAUSTED.* 9 bytes\.\); what was saved.*batch_size"
    ) as error:
        train_here(tmp_path)
    assert "\n" not in str(error.value) and "XLA_PYTHON" not in str(error.value)  # which a CPU does not read


def test_a_process_without_room_does_not_say_that_it_lost_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def full(*args: object) -> None:
        monkeypatch.setattr(jax, "process_count", lambda: 2)  # from here on: the run has begun
        raise jax.errors.JaxRuntimeError(NO_ROOM)

    def give_up(reason: str) -> None:
        monkeypatch.setattr(jax, "process_count", lambda: 1)
        said.append(reason)

    monkeypatch.setattr(UpdateProgram, "run", full)
    monkeypatch.setattr(command_line, "give_up", give_up)
    with pytest.raises(UserError, match="out of memory"):
        train_here(tmp_path)
    (line,) = said
    assert line.startswith("out of memory (RESOURCE_EXHAUSTED") and "batch_size" in line and "lost" not in line


@pytest.mark.ci
def test_games_too_short_to_imagine_in_end_without_a_film(tmp_path: Path) -> None:
    """Of the test games fewer steps are kept than imagination begins with."""
    output = train_here(tmp_path, {"evaluation.num_steps_replay": 3}, pictures=True)
    assert "no film: no episode there is longer than the 4 frames" in output
    assert summary(tmp_path)["num_games"] == 6 and not (tmp_path / "report" / "imagination-median.gif").exists()


FOREIGN = [b"null", b"[1]", b'"text"', b"7", b"\xff\xfe{}", b"{}", b'{"epoch": null}', b'{"epoch": "1"}', b"[" * 5000]
FOREIGN += [
    b'{"epoch": 1, "world_model_updates": 3, "actor_critic_updates": 3, "env_steps": {}, "test/return_mean": []}'
]
FOREIGN += [b'{"epoch": 1e999, "world_model_updates": 1' + b"0" * 400 + b', "actor_critic_updates": NaN}']


@pytest.mark.ci
def test_foreign_lines_among_the_metrics_do_not_keep_a_run_from_its_end(finished: Path) -> None:
    with (finished / "metrics.jsonl").open("ab") as file:
        file.write(b"\n".join(FOREIGN) + b"\n")
    train_here(finished, {MORE: 2}, pictures=True)
    assert summary(finished)["progress"]["epoch"] == 5 and (finished / "report" / "returns.png").exists()


def test_a_deleted_lock_lets_no_second_process_in(finished: Path) -> None:
    held = lock(finished)
    (finished / "lock").unlink()
    with pytest.raises(UserError, match=r"another process .* is at work there"):
        lock(finished)
    held.release()
    lock(finished).release()


def test_two_starts_within_a_second_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened = [open_workdir("", pour(get_config()), (), print) for _ in range(3)]
    assert len({workdir.path for workdir in opened}) == 3
    for workdir in opened:
        workdir.release()


def test_a_folder_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    def delete(line: str) -> None:
        if line.startswith("epoch 1"):
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(UserError, match=r"run is gone: it was deleted, moved or unmounted"):
        train_here(tmp_path / "run", at_line=delete)
