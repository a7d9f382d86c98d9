"""Kills a small run with SIGKILL again and again, and checks that it recovers.

    python -m benchmarks.survival FOLDER [KILLS]         (two epochs a kill)
    python -m benchmarks.survival FOLDER KILLS MINUTES   (one long epoch that is saved so often)

A third of the kills come while a checkpoint is written, a third while a journal file is written, and a third at a
random moment. Every start must lose at most one epoch, the run must end with its scheduled counts, and every file must
be readable in the end. In a long epoch all come at random moments, and a start must lose no more than the minutes
between two saves, with `SLACK` for the updates and the save that were going on.
"""

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orbax.checkpoint as ocp

ROOT = Path(__file__).parent.parent
COMMAND = (
    sys.executable,
    "-m",
    "edeline_jax.train",
    "--config=tests/tiny_config.py",
    "--config.training.num_final_epochs=0",
    "--config.evaluation.every=1000",
)
SLACK = 15.0  # seconds
LONG_EPOCH = 6_000  # updates, some five minutes
WRITES = {"checkpoint": "checkpoints/*orbax-checkpoint-tmp*", "journal": "replay/.*.partial"}


class Kill(NamedTuple):
    """One start and kill of the run.

    moment: when it was killed.
    before: the last epoch that earlier starts finished.
    resumed: the epoch after which this start continued.
    after: the last epoch that this start finished; 0 if none.
    """

    moment: str
    before: int
    resumed: int
    after: int


def survive(workdir: Path, kills: int, seed: int, epochs: int = 41) -> list[Kill]:
    """Starts and kills a run `kills` times, then lets it end; raises AssertionError if a check fails."""
    draw = random.Random(seed)
    history = []
    reached = 0
    for number in range(kills):
        moment = ("checkpoint", "journal", "anywhere")[number % 3]
        resumed, after, ended = _start(workdir, epochs, moment, draw)
        assert not ended, f"the run ended before kill {number}"
        assert resumed >= reached - 1, f"lost more than one epoch: {reached} before, resumed after {resumed}"
        history.append(Kill(moment, reached, resumed, after))
        reached = max(resumed, after)
    resumed, _, ended = _start(workdir, epochs, "never", draw)
    assert ended and resumed >= reached - 1
    check_counts(workdir, epochs)
    check_files(workdir)
    return history


def survive_in_an_epoch(workdir: Path, kills: int, minutes: float, seed: int) -> list[float]:
    """Kills a run in its first, long epoch, then lets it end.

    Returns:
      The seconds of training that each kill cost; AssertionError if one cost too much or a count is wrong.
    """
    draw = random.Random(seed)
    flags = [f"--config.checkpointing.save_every_minutes={minutes}", "--config.collection.num_steps_total=80"]
    flags += [f"--config.world_model.training.steps_first_epoch={LONG_EPOCH}"]
    command = [*COMMAND, *flags, f"--workdir={workdir}"]
    costs = []
    before: list[dict] = []  # the metrics that an earlier start left
    for number in range(kills + 1):
        output = workdir.with_suffix(f".{number}.log")
        with output.open("w") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        if number < kills:
            while process.poll() is None and "world_model: " not in output.read_text():
                time.sleep(0.1)
            time.sleep(draw.uniform(0, 2 * 60 * minutes))
            assert process.poll() is None, f"the run ended before kill {number}: {output.read_text()}"
            process.kill()
        assert process.wait() == (-9 if number < kills else 0), output.read_text()
        if number > 0:
            costs.append(_cost(before, output.read_text()))
            assert costs[-1] <= 60 * minutes + SLACK, costs
        before = [json.loads(line) for line in _whole_lines(workdir / "metrics.jsonl")]
    summary = json.loads((workdir / "summary.json").read_text())
    assert (summary["progress"]["epoch"], summary["world_model_updates"]) == (1, LONG_EPOCH)
    check_files(workdir)
    return costs


def _cost(before: list[dict], output: str) -> float:
    """Seconds of training between the update at which a start went on and the last line before the kill."""
    resumed = re.search(r"resumed in epoch 1, \d+ steps, updates \((\d+), ", output)
    stood = int(resumed[1]) if resumed else 0
    kept = [line["wall_time"] for line in before if line["world_model_updates"] <= stood]
    return before[-1]["wall_time"] - (kept[-1] if kept else 0.0) if before else 0.0


def check_counts(workdir: Path, epochs: int) -> None:
    """Asserts that the counters are those of an uninterrupted run."""
    summary = json.loads((workdir / "summary.json").read_text())
    counts = summary["progress"]["epoch"], summary["progress"]["env_steps"]
    updates = summary["world_model_updates"], summary["actor_critic_updates"]
    assert counts == (epochs, num_steps(epochs)), counts
    assert updates == (3 + 2 * (epochs - 1),) * 2, updates


def num_steps(epochs: int) -> int:
    """Steps that the run collects in that many epochs."""
    return 80 + 40 * (epochs - 1)


def check_files(workdir: Path) -> None:
    """Asserts that every checkpoint, journal file and metric can be read, and that no half-written files are left."""
    for path in (workdir / "replay").iterdir():
        with np.load(path) as chunk:
            assert all(chunk[name].size for name in chunk.files), path
    for kind, item in (("checkpoints", "state"), ("agents", "default")):
        for path in (path for path in (workdir / kind).iterdir() if path.is_dir()):
            with ocp.StandardCheckpointer() as checkpointer:
                assert checkpointer.restore(path / item), path
    assert all(json.loads(line) for line in _whole_lines(workdir / "metrics.jsonl"))
    assert not (workdir / "set_aside").exists()


def _start(workdir: Path, epochs: int, moment: str, draw: random.Random) -> tuple[int, int, bool]:
    """Starts the run once and kills it.

    Returns the epoch after which it resumed, the last epoch it finished, and whether it ended by itself.
    """
    command = [*COMMAND, f"--config.collection.num_steps_total={num_steps(epochs)}", f"--workdir={workdir}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output: list[str] = []
    reader = threading.Thread(target=lambda: output.extend(process.stdout), daemon=True)
    reader.start()
    if moment != "never":
        _wait(process, output, workdir, moment, draw)
        process.kill()
    status = process.wait()
    reader.join()
    assert status in (0, -9), process.stderr.read()
    text = "".join(output)
    resumed = [int(epoch) - (where == "in") for where, epoch in re.findall(r"resumed (in|after) epoch (\d+)", text)]
    finished = [int(epoch) for epoch in re.findall(r"^epoch (\d+):", text, re.M)]
    return (resumed or [0])[-1], (finished or [0])[-1], status == 0


def _wait(process: subprocess.Popen, output: list[str], workdir: Path, moment: str, draw: random.Random) -> None:
    deadline = time.monotonic() + draw.uniform(3, 25)
    skip = draw.randrange(3)  # so that it is not always the first write
    while process.poll() is None:
        if moment == "anywhere" and time.monotonic() > deadline:
            return
        if moment != "anywhere" and _training(output) and any(_matches(workdir, WRITES[moment])):
            if skip == 0:
                time.sleep(draw.uniform(0, 0.02))
                return
            skip -= 1
            time.sleep(0.2)
        time.sleep(0.0005)


def _training(output: list[str]) -> bool:
    return any(line.startswith("epoch") or line.startswith("actor_critic") for line in output)


def _matches(workdir: Path, pattern: str) -> Iterator[Path]:
    try:
        yield from workdir.glob(pattern)
    except OSError:  # a folder that is renamed while it is listed
        return


def _whole_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.endswith("}")]


def main() -> None:
    os.environ |= {"JAX_PLATFORMS": "cpu"}
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    begin = time.monotonic()
    if len(sys.argv) > 3:
        costs = survive_in_an_epoch(Path(sys.argv[1]), kills, float(sys.argv[3]), seed=0)
        print("seconds lost:", ", ".join(f"{cost:.0f}" for cost in costs), f"; in all {time.monotonic() - begin:.0f} s")
        return
    for kill in survive(Path(sys.argv[1]), kills, seed=0, epochs=2 * kills + 1):
        print(kill)
    print(f"{kills} kills survived, all counts right, all files readable, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
