"""What goes wrong on real machines: one clear line, and nothing is lost."""

import fcntl
import logging
import os
import time
from pathlib import Path

import numpy as np
import pytest

from edeline_jax.learning.not_finite import NotFiniteError
from edeline_jax.runtime.errors import ConfigError, UserError
from edeline_jax.workdir import wandb_log
from tests.in_process import train_here
from tests.runs import assert_one_line_error, rows, summary, train

MORE = "training.num_final_epochs"


def numbers(workdir: Path) -> list[int]:
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())


def test_a_full_disk_stops_with_one_line_and_earlier_checkpoints_intact(finished: Path) -> None:
    """A limit on the size of a file stands for the disk: the arrays of a state no longer fit, small files do."""
    before = numbers(finished)
    limited = ("bash", "-c", 'ulimit -f 100 && exec "$@"', "limited")  # 100 KiB
    no_cache_writes = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000000"}  # others read that cache too
    result = train(finished, f"--config.{MORE}=2", before=limited, variables=no_cache_writes)
    assert_one_line_error(result, "File too large", "earlier checkpoints are intact", "make room")
    assert numbers(finished) == before
    assert not list(finished.rglob("*.partial"))


def test_a_damaged_newest_checkpoint_is_set_aside_and_the_one_before_used(
    finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest = finished / "checkpoints" / str(numbers(finished)[-1])
    largest = max((path for path in newest.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    with caplog.at_level(logging.WARNING, "edeline_jax"):
        assert "resumed after epoch 3" in train_here(finished, {MORE: 2})
    assert f"checkpoint {newest.name} cannot be read" in caplog.text
    assert summary(finished)["progress"]["epoch"] == 5 and summary(finished)["world_model_updates"] == 11
    assert len(list((finished / "set_aside").iterdir())) == 1


def test_a_second_process_is_refused(finished: Path) -> None:
    with (finished / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"another process .* is at work there"):
            train_here(finished)


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


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_batch(tmp_path: Path) -> None:
    optimizer = {"world_model.optimizer.lr": 1e30, "world_model.optimizer.lr_warmup_steps": 0}
    message = "loss_.* of the world_model not finite in update 2, epoch 1.*; none was saved"
    with pytest.raises(NotFiniteError, match=message):
        train_here(tmp_path, optimizer)
    with np.load(tmp_path / "not_finite_world_model_2.npz") as batch:
        assert batch["frames"].shape == (1, 8, 10, 20, 20, 3) and np.abs(batch["frames"]).max() < 1.001
        assert batch["mask"].any() and set(np.unique(batch["actions"])) <= {0, 1, 2}


def test_a_config_that_cannot_fit_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.collection\.num_steps_total.* GB.*make them smaller"):
        train_here(tmp_path, {"collection.num_steps_total": 2_000_000_000})
    assert not (tmp_path / "checkpoints").exists()
