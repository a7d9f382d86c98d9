"""The real entry points, each in a process of its own, and what runs leave; see also in_process.py."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from edeline_jax.report.runs import read_lines
from edeline_jax.workdir.folder import RunFolder

ROOT = Path(__file__).parent.parent
TINY = str(ROOT / "tests" / "tiny_config.py")
RECORDED = {"env.id": "none", "training.num_final_epochs": 2}  # changes of a run that learns from a dataset alone
PROGRAMS_LOG = "jax._src.interpreters.pxla"
LOG_PROGRAMS = {"JAX_DEBUG_LOG_MODULES": PROGRAMS_LOG}
IN_A_HURRY = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}
PROGRAM = re.compile(r"Compiling jit\((\w+)\)")


def command(workdir: Path | str, *overrides: str, config: str = TINY) -> list[str]:
    return [sys.executable, "-m", "edeline_jax.train", f"--config={config}", f"--workdir={workdir}", *overrides]


def environment(devices: int = 1, **variables: str) -> dict[str, str]:
    """Programs of these runs are compiled in a hurry: they are tests of plumbing, numbers are compared elsewhere."""
    fixed = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices), **IN_A_HURRY}
    return os.environ | fixed | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"} | variables


def flags(changes: dict[str, object]) -> list[str]:
    """ "training.num_final_epochs" -> 2 as flags."""
    return [f"--config.{key}={value}" for key, value in changes.items()]


def train(
    workdir: Path | str,
    *overrides: str,
    config: str = TINY,
    devices: int = 1,
    timeout: int = 900,
    before: tuple[str, ...] = (),
    variables: dict[str, str] | None = None,
    stderr: int = subprocess.PIPE,
) -> subprocess.CompletedProcess:
    """`before` is a command that runs ours, `variables` go into its environment."""
    line = [*before, *command(workdir, *overrides, config=config)]
    env = environment(devices, **(variables or {}))
    return subprocess.run(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=timeout)


def finished_run(workdir: Path, *overrides: str, variables: dict[str, str] | None = None) -> str:
    """Trains the tiny config to its end; what it printed, and between the lines what JAX compiled."""
    variables = LOG_PROGRAMS | (variables or {})
    result = train(workdir, *overrides, variables=variables, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
    return result.stdout


def assert_nothing_compiles_after_the_first_epoch(output: str) -> None:
    """Of a run that tests in every epoch: between its first and its last test only what saves the first agent."""
    first, *_, last = re.finditer("^(?:test, epoch|final test, ).*\n", output, re.MULTILINE)
    assert "per_device" in PROGRAM.findall(output[: first.start()])  # the update programs: they are in the output
    assert sorted(PROGRAM.findall(output[first.end() : last.start()])) == ["_copy"]


def start(workdir: Path | str, *overrides: str, variables: dict[str, str] | None = None) -> subprocess.Popen:
    """The same without waiting for it; its standard output is a pipe."""
    line, env = command(workdir, *overrides), environment(**(variables or {}))
    return subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen, beginning: str) -> None:
    for line in process.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError(f"no line begins with {beginning!r}: {process.stderr.read()}")


def module(
    name: str, *arguments: object, variables: dict[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", name, *map(str, arguments)]
    env = environment(**{"PYTHONPATH": str(ROOT)} | (variables or {}))
    return subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


def rows(workdir: Path) -> list[dict]:
    return read_lines(workdir / "metrics.jsonl")


def state_arrays(workdir: Path) -> dict[str, np.ndarray]:
    """Everything in the newest full state, by name."""
    folder = RunFolder(workdir)
    newest = folder.checkpoints / str(folder.numbered(folder.checkpoints)[-1])
    with ocp.StandardCheckpointer() as checkpointer:
        state = checkpointer.restore(newest / "state")
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(state)}


def assert_same_arrays(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Bit by bit, and under the same names."""
    assert list(got) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name)


def summary(workdir: Path) -> dict:
    return json.loads((workdir / "summary.json").read_text())


def assert_one_line_error(result: subprocess.CompletedProcess, *words: str) -> None:
    assert result.returncode == 1, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    for word in words:
        assert word in lines[0], lines[0]


def write_recordings(folder: Path, lengths: list[int], seed: int = 0) -> None:
    """Episodes as a user might have them: 20 x 20 frames, 3 actions."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i, length in enumerate(lengths):
        np.savez(
            folder / f"game_{i:02d}.npz",
            frames=rng.integers(0, 256, (length, 20, 20, 3), dtype=np.uint8),
            actions=rng.integers(0, 3, length),
            rewards=rng.integers(-1, 2, length).astype(np.float64),
            ends=np.arange(length) == length - 1,
        )
