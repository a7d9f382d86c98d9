"""A copy of launch/ among stand-ins for what its scripts start: nothing computes, nothing is contacted."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.runs import ROOT

COPIED = (
    "pyproject.toml",
    "constraints/python3.11.txt",
    "constraints/python3.12.txt",
    "benchmarks/first_hour.sh",
    "edeline_jax/envs/games.py",
)
# The Pythons answer the only question that the scripts ask one: its version.
PROGRAMS = {"nvidia-smi": 'printf %s "${GPUS-}"', "python3": "echo 3.11", "python3.13": "echo 3.13"}


def make_root(root: Path, **programs: str) -> Path:
    """`programs` are shell scripts, which come first on the PATH."""
    shutil.copytree(ROOT / "launch", root / "launch")
    for name in COPIED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name, text in (PROGRAMS | programs).items():
        write_program(root / "bin" / name, text)
    return root


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


def environment(root: Path, **variables: str) -> dict[str, str]:
    """That of the tests, less the variables that the scripts read."""
    kept = {name: value for name, value in os.environ.items() if not re.match("EDELINE_|SLURM_|JAX_|XDG_|CUDA_", name)}
    path = f"{root / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return kept | {"PATH": path} | variables


def launch(root: Path, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    line = ["bash", f"launch/{script}", *arguments]
    env = environment(root, **variables)
    return subprocess.run(line, cwd=root, env=env, capture_output=True, text=True, timeout=60)
