"""Programs in the tests' own process, where a process is not the point: runs that learn alike compile once."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from edeline_jax.config import pour
from edeline_jax.learning import programs
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.training import job, run
from tests.runs import PROGRAMS_LOG, assert_same_arrays, state_arrays
from tests.tiny_config import get_config

Changes = dict[str, Any]  # "training.num_final_epochs" -> 2


class Stop:
    """Asks a run to end once it has said a line that begins with `line`, and has then gone on `breaths` times.

    A run breathes between the parts of a collection and between the dispatches of updates.
    """

    def __init__(self, line: str, breaths: int = 0):
        self._line = line
        self._breaths = breaths
        self._heard = False

    def hear(self, line: str) -> None:
        self._heard |= line.startswith(self._line)

    @property
    def requested(self) -> bool:
        self._breaths -= self._heard
        return self._breaths < 0


def train_here(
    workdir: Path | str,
    changes: Changes | None = None,
    devices: int = 1,
    stop: Stop | None = None,
    at_line: Callable[[str], None] = lambda line: None,
    pictures: bool = False,
    allowed: Sequence[str] = (),
) -> str:
    """Trains the tiny config with `changes` on the first devices; returns what it printed.

    `at_line` is called with every line. `allowed` are keys that may change. Without `pictures` there are none, and no
    page, which would take as long as the run. Errors are raised.
    """
    values = get_config()
    values.update_from_flattened_dict(changes or {})
    said: list[str] = []
    stop = stop or Stop("never")

    def say(line: str) -> None:
        said.append(line)
        at_line(line)
        stop.hear(line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "make_mesh", lambda: make_mesh(jax.devices()[:devices]))
        if not pictures:
            patch.setattr(run.Run, "draw", lambda run, test: [])
            patch.setattr(run.Run, "write_page", lambda run: None)
        job.train(pour(values, devices), str(workdir), allowed, stop, say)
    return "\n".join(said)


def logged_run(workdir: Path, changes: Changes, devices: int = 1) -> str:
    """What such a run printed, and between the lines what JAX compiled."""
    lines: list[str] = []
    log = logging.getLogger(PROGRAMS_LOG)
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        train_here(workdir, changes, devices=devices, at_line=lines.append)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    return "\n".join(lines) + "\n"


def call(main: Callable[[Sequence[str]], None], *arguments: object) -> None:
    """Calls the main function of a program with arguments and flags; errors are raised."""
    with flagsaver.flagsaver():
        main(flags.FLAGS(["program", *map(str, arguments)]))


def stopped_like_straight(folder: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Trains in `folder`/straight, and in `folder`/stopped with a stop in epoch 1: both must end alike, bit by bit.

    Without collection, so nothing but the updates changes the state. The stopped run dispatches its updates one by one,
    the other one many at once.

    Returns:
      The state's arrays by name.
    """
    straight, stopped = folder / "straight", folder / "stopped"
    train_here(straight, changes)
    monkeypatch.setattr(programs, "SECONDS_PER_DISPATCH", 0.0)
    assert "interrupted in epoch 1" in train_here(stopped, changes, stop=Stop("actor_critic:"))
    assert "resumed in epoch 1" in train_here(stopped, changes)
    expected = state_arrays(straight)
    assert_same_arrays(state_arrays(stopped), expected)
    return expected
