"""Puts faults into the program, one at a time, and looks whether its tests notice.

    python -m benchmarks.mutants [WORD ...]

mutants.toml has the faults: for each file of `edeline_jax` lines `name = [old text, new text, tests]`, the tests being
arguments of pytest, under tests/. WORDs choose among them, by file or name. A fault is killed if its tests pass without
it and fail with it. All happens in a copy of the tree; the exit status is 1 if a fault survived.
"""

import functools
import multiprocessing
import os
import shlex
import shutil
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
COPIED = ("benchmarks", "configs", "edeline_jax", "launch", "tests", "pyproject.toml")
MINUTES = 10  # after which tests count as failed: a fault may make a program endless
PASSED, FAILED = 0, 1  # exit statuses of pytest
PROCESSES = multiprocessing.get_context("forkserver")  # each begins with the libraries at hand
PROCESSES.set_forkserver_preload(["flax.linen", "jax", "optax", "pytest", "scipy.stats"])


class Fault(NamedTuple):
    """One place of a wrong program; `old` stands there once."""

    file: str
    name: str
    old: str
    new: str
    tests: str


def faults(words: list[str]) -> list[Fault]:
    """Those whose file or name has one of the words in it; without words all."""
    table = tomllib.loads((ROOT / "benchmarks" / "mutants.toml").read_text())
    listed = [Fault(file, name, *line) for file, lines in table.items() for name, line in lines.items()]
    return [fault for fault in listed if not words or any(word in f"{fault.file} {fault.name}" for word in words)]


def copy_tree(folder: Path) -> None:
    """What the tests need, in a folder that exists."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)


@functools.cache
def passes_without_fault(root: Path, tests: str) -> bool:
    """Once per run of this program."""
    return passes(root, tests)


def passes(root: Path, tests: str) -> bool:
    """Whether the tests pass in the tree at `root`; raises RuntimeError if they cannot run."""
    process = PROCESSES.Process(target=run_pytest, args=(root, tests))
    process.start()
    process.join(60 * MINUTES)
    if process.is_alive():
        process.kill()
        return False
    if process.exitcode not in (PASSED, FAILED):
        raise RuntimeError(f"tests/{tests} cannot run: {(root / 'log').read_text()}")
    return process.exitcode == PASSED


def run_pytest(root: Path, tests: str) -> None:
    """In a process of its own; what pytest prints goes into the file `log`."""
    log = os.open(root / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(root)
    sys.path.insert(0, str(root))
    sys.dont_write_bytecode = True  # Python would take the bytecode of one fault for that of the next
    first, *more = shlex.split(tests)
    sys.exit(pytest.main([f"tests/{first}", *more, "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider"]))


def is_killed(root: Path, fault: Fault) -> bool:
    """Whether the tests notice the fault in the tree at `root`, which is left as it was."""
    if not passes_without_fault(root, fault.tests):
        raise RuntimeError(f"tests/{fault.tests} fails without a fault")
    path = root / "edeline_jax" / fault.file
    right = path.read_text()
    if right.count(fault.old) != 1:
        raise RuntimeError(f"{fault.file}: {fault.old!r} stands there {right.count(fault.old)} times")
    wrong = right.replace(fault.old, fault.new)
    compile(wrong, path, "exec")
    path.write_text(wrong)
    try:
        return not passes(root, fault.tests)
    finally:
        path.write_text(right)


def main(*words: str) -> int:
    """Returns how many faults survived."""
    chosen, survived = faults(list(words)), 0
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        for fault in chosen:
            begin = time.monotonic()
            killed = is_killed(Path(folder), fault)
            survived += not killed
            seconds = time.monotonic() - begin
            print(f"{'killed' if killed else 'SURVIVED'} {seconds:4.0f} s  {fault.file}: {fault.name}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} killed")
    return survived


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
