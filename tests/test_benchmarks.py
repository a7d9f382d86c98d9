"""The benchmarks at tiny sizes, on two devices; and what a profile of a run on two devices holds."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.kernels import kernels
from tests.runs import ROOT, TINY, environment, module, rows, summary, train

TWO_DEVICES = {"JAX_NUM_CPU_DEVICES": "2"}
ONE_ENVIRONMENT = "--config.env.num_envs=1"


def run(name: str, *arguments: object) -> str:
    result = module(f"benchmarks.{name}", *arguments, variables=TWO_DEVICES)
    assert result.returncode == 0, result.stderr
    return result.stdout


INTERRUPTED = """if 1:
    import sys
    from benchmarks import updates
    def measure(config):
        yield config.agent.compute_dtype, 1.0
        if config.agent.compute_dtype == "bfloat16":
            raise KeyboardInterrupt
    updates.measure = measure
    updates.command_line.run(updates.main, updates.CONFIG)
"""


def test_each_figure_is_written_when_it_is_known(tmp_path: Path) -> None:
    line = [sys.executable, "-c", INTERRUPTED, f"--json={tmp_path / 'figures.json'}"]
    result = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120)
    assert result.returncode != 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["float32"] == {"float32": 1.0} and figures["bfloat16"] == {"bfloat16": 1.0}


@pytest.mark.ci
@pytest.mark.parametrize("environments", [1, 8])  # copies of the replay, and shares
def test_updates(tmp_path: Path, environments: int) -> None:
    file = tmp_path / "figures.json"
    flags = f"--config={TINY}", f"--config.env.num_envs={environments}", "--dtypes=float32", "--repeats=1"
    printed = run("updates", *flags, f"--json={file}")
    assert printed.startswith("| 2 x cpu, JAX ")
    figures = json.loads(file.read_text())["float32"]
    for network in ("world_model", "actor_critic"):
        assert figures[f"{network} update, ms"] > 0 and f"| float32 | {network} update, ms | " in printed
    assert figures["batch"] == 8 and figures["imagined step, ms"] > 0


@pytest.mark.ci
def test_cores() -> None:
    """With one round, the ratio is that of the two times."""
    printed = run("cores", f"--config={TINY}", ONE_ENVIRONMENT, "--batch=0", "--rounds=1")
    assert printed.startswith("| update | one device, ms | 2 devices, ms | ratio |")
    found = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| ([\d.]+) \|$", printed, re.MULTILINE)
    assert [network for network, *_ in found] == ["world_model", "actor_critic"]
    for _, one, every, ratio in found:
        assert float(ratio) == pytest.approx(int(one) / int(every), rel=0.1)


@pytest.mark.ci
def test_epoch() -> None:
    assert "inside the update programs: " in run("epoch", f"--config={TINY}", ONE_ENVIRONMENT, "--updates=1")


@pytest.mark.ci
def test_scaling() -> None:
    flags = "--devices=2", "--batch_per_device=4", "--batch=0", "--timed_batch_per_device=4", "--repeats=1"
    printed = run("scaling", f"--config={TINY}", ONE_ENVIRONMENT, *flags)
    for section in ("weak scaling, batch 4 per device", "time, batch 4 per device"):
        table = printed.split(f"{section}:")[1].split("\n\n")[1].splitlines()
        assert [line.split(" | ")[:3] for line in table[2:]] == [
            [f"| {network}", "2", "8"] for network in ("world_model", "actor_critic")
        ]


@pytest.mark.ci
def test_collection() -> None:
    worlds = "recall:recall_16", "catch"
    printed = run("collection", *worlds, f"--agent={TINY}", "--envs=2,3", "--size=20", "--steps=4", "--repeats=1")
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith(("| recall", "| catch"))]
    players = {"recall:recall_16": ["step by step", "compiled"], "catch": ["step by step"]}
    expected = [[world, envs, player] for world in worlds for envs in "23" for player in players[world]]
    assert [row[:3] for row in rows] == expected and all(float(row[3].replace(",", "")) > 0 for row in rows)


@pytest.mark.ci
def test_ceilings() -> None:
    printed = run("ceilings", "--batch=1", "--side=128", "--gigabytes=0.001", "--repeats=1")
    rates = re.findall(r"^\| (.*) \| ([\d.e+-]+) T?(?:GB|FLOP)/s \| [\d.e+-]+ ms \|$", printed, re.MULTILINE)
    assert len(rates) == 1 + 3 * 9 and all(float(rate) > 0 for _, rate in rates)


@pytest.mark.ci
def test_a_run_of_one_environment_on_two_devices_with_its_profile(tmp_path: Path) -> None:
    flags = ONE_ENVIRONMENT, "--profile", "--deterministic", "--config.training.num_final_epochs=0"
    result = train(tmp_path, *flags, devices=2)
    assert result.returncode == 0, result.stderr
    assert "devices: 2 x cpu" in result.stdout
    assert "replay: 160 steps, 0.000 GB on each device" in result.stdout
    assert "--deterministic changes nothing: on a cpu" in result.stdout
    assert rows(tmp_path)[-1]["env_steps"] == 160 and summary(tmp_path)["world_model_updates"] >= 5
    for network in ("world_model", "actor_critic"):
        found = kernels(tmp_path / "profile" / network)
        seconds = [kernel.seconds for kernel in found]
        assert sum(kernel.calls for kernel in found) > 100
        assert seconds == sorted(seconds, reverse=True) and seconds[0] > 0
    printed = module("benchmarks.kernels", tmp_path / "profile" / "world_model", 2).stdout.splitlines()
    assert len(printed) == 5 and printed[3].startswith(f"| {kernels(tmp_path / 'profile' / 'world_model')[0].name} | ")


@pytest.mark.ci
def test_recall(tmp_path: Path) -> None:
    """A world model that has hardly learnt answers alike whatever the cue was, so it is right in half of the games."""
    file, film = tmp_path / "figures.json", tmp_path / "film.png"
    files = f"--json={file}", f"--film={film}"
    printed = run("recall", "--config=configs/recall.py:recall_64,tiny", "--updates=1", *files)
    figures = json.loads(file.read_text())
    assert [row[3:5] for row in figures] == [[k, delay] for delay in (8, 32, 64) for k in (3, delay)]
    assert all(0.4 < share < 0.6 for row in figures for share in row[5:])
    assert printed.count("\n| 0 | 1 | ") == len(figures)
    assert Image.open(film).size == (1200, 840)
