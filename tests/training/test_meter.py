"""What is shown of a part of an epoch, on a terminal and in a log file."""

import contextlib
import io
import sys

import pytest

from edeline_jax.training import meter
from edeline_jax.training.meter import Meter, losses_of


class Clock:
    """Seconds that the test sets."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


def test_a_log_file_gets_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = Clock(), []
    monkeypatch.setattr(meter, "time", clock)
    shown = Meter("epoch 1 world_model", 10_000, "update", said.append, is_main=True)
    for seconds, count in ((30, 1_000), (59, 2_000), (61, 3_000), (100, 4_000), (125, 5_000)):
        clock.now = 100 + seconds
        shown.to(count, {"rew": 0.12345, "end": 3.0})
    shown.add(1_000)
    assert said == [
        "epoch 1 world_model: 3,000 of 10,000, 49.2 updates/s, rew 0.1235, end 3, 02:22 left",
        "epoch 1 world_model: 5,000 of 10,000, 40 updates/s, rew 0.1235, end 3, 02:05 left",
    ]
    clock.now = 1_100
    shown.add(1_000)
    assert said[-1] == "epoch 1 world_model: 7,000 of 10,000, 7 updates/s, 07:08 left"


def test_losses_have_short_names() -> None:
    assert losses_of({"loss_rew": 1.0, "grad_norm": 2.0, "loss_total": 3.0}) == {"rew": 1.0, "total": 3.0}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_with_the_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    said: list[str] = []
    with contextlib.closing(Meter("collect", 8, "step", said.append, is_main=True)) as shown:
        shown.to(3, {"rew": 0.25})
        shown.add(1, {"rew": 0.5})
        shown._bar.refresh()  # which tqdm does by itself after a tenth of a second
        last = sys.stderr.getvalue().rpartition("\r")[2]
    assert last.startswith("collect:  50%|") and "| 4/8 [" in last and last.endswith(", rew=0.5]"), last
    assert said == []
