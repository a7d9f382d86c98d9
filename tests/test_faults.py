"""What goes wrong on real machines, through the real entry point: one clear line, and nothing is lost."""

import fcntl
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from tests.runs import assert_one_line_error, finished_run, rows, summary, train

MORE = "--config.training.num_final_epochs=2"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    finished_run(folder)
    return folder


@pytest.fixture
def workdir(finished: Path, tmp_path: Path) -> Path:
    """A finished run, a copy of it for each test."""
    return shutil.copytree(finished, tmp_path / "run")


def numbers(workdir: Path) -> list[int]:
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())


def test_a_full_disk_stops_with_one_line_and_earlier_checkpoints_intact(workdir: Path) -> None:
    """A limit on the size of a file stands for the disk: the arrays of a state no longer fit, small files do."""
    before = numbers(workdir)
    limited = ("bash", "-c", 'ulimit -f 100 && exec "$@"', "limited")  # 100 KiB
    no_cache_writes = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000000"}  # others read that cache too
    result = train(workdir, MORE, before=limited, variables=no_cache_writes)
    assert_one_line_error(result, "File too large", "earlier checkpoints are intact", "make room")
    assert numbers(workdir) == before
    assert not list(workdir.rglob("*.partial"))


def test_a_damaged_newest_checkpoint_is_set_aside_and_the_one_before_used(workdir: Path) -> None:
    newest = workdir / "checkpoints" / str(numbers(workdir)[-1])
    largest = max((path for path in newest.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    result = train(workdir, MORE)
    assert result.returncode == 0, result.stderr
    assert f"checkpoint {newest.name} cannot be read" in result.stderr and "Traceback" not in result.stderr
    assert "resumed after epoch 3" in result.stdout
    assert summary(workdir)["progress"]["epoch"] == 5 and summary(workdir)["world_model_updates"] == 11
    assert len(list((workdir / "set_aside").iterdir())) == 1


def test_a_second_process_is_refused(workdir: Path) -> None:
    with (workdir / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert_one_line_error(train(workdir), "another process", "is at work there")


def test_an_unreachable_wandb_neither_stops_nor_slows_a_run(tmp_path: Path) -> None:
    """Nothing listens on port 9."""
    variables = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40}
    begin = time.monotonic()
    result = train(tmp_path, "--config.wandb.mode=online", variables=variables)
    assert result.returncode == 0, result.stderr
    assert summary(tmp_path)["world_model_updates"] == 9
    assert time.monotonic() - begin < 200
    assert "wandb" in result.stderr and "metrics" in result.stderr
    assert [row["epoch"] for row in rows(tmp_path) if "world_model/loss_rew" in row][-1] == 4


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_batch(tmp_path: Path) -> None:
    result = train(
        tmp_path, "--config.world_model.optimizer.lr=1e30", "--config.world_model.optimizer.lr_warmup_steps=0"
    )
    assert_one_line_error(result, "loss_", "of the world_model not finite in update 2, epoch 1", "none was saved")
    with np.load(tmp_path / "not_finite_world_model_2.npz") as batch:
        assert batch["frames"].shape == (1, 8, 10, 20, 20, 3) and np.abs(batch["frames"]).max() < 1.001
        assert batch["mask"].any() and set(np.unique(batch["actions"])) <= {0, 1, 2}


def test_a_config_that_cannot_fit_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    result = train(tmp_path, "--config.collection.num_steps_total=2000000000")
    assert_one_line_error(result, "config.collection.num_steps_total", "GB", "make them smaller")
    assert not (tmp_path / "checkpoints").exists()
