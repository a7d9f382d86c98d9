"""The launch scripts: what they would do, and what they refuse.

After a change that is meant: `EDELINE_WRITE_GOLDEN=1 python -m pytest tests/launch`, and read the difference.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from edeline_jax.envs import GAMES
from tests.launch.stand_ins import launch, make_root
from tests.runs import ROOT, assert_one_line_error

GOLDEN = Path(__file__).parent

SLICE = {"EDELINE_TPU_NAME": "edeline", "EDELINE_ZONE": "us-west4-a", "EDELINE_PROJECT": "my-project"}
KIND = {"EDELINE_ACCELERATOR": "v5litepod-8", "EDELINE_RUNTIME": "v2-alpha-tpuv5-lite"}
RUN = {"EDELINE_CONFIG": "configs/atari.py:breakout", "EDELINE_WORKDIR": "gs://my-bucket/breakout"}
CLUSTER = {"EDELINE_CLUSTER": "my-cluster", "EDELINE_WORKLOAD": "breakout-1"}
ENVS = "--config.env.num_envs=8"
FIRST_HOUR = "../benchmarks/first_hour.sh"

# Golden file -> variables, script and arguments.
DRY_RUNS = {
    "environment": ({"EDELINE_EXTRAS": "test,cuda12"}, "environment.sh"),
    "environment_newest": ({"EDELINE_PYTHON": "python3.13"}, "environment.sh"),
    "quickstart": ({}, "quickstart.sh", "--config.seed=1"),
    "play": ({}, "play.sh", "--port=9000"),
    "test": ({"XDG_CACHE_HOME": "/cache"}, "test.sh", "-m", "slow"),
    "resume": ({}, "resume.sh", "outputs/a run", "--config.evaluation.every=5"),
    "tpu_vm_create": (SLICE | KIND | {"EDELINE_SPOT": "1"}, "tpu_vm.sh", "create"),
    "tpu_vm_copy": (SLICE, "tpu_vm.sh", "copy"),
    "tpu_vm_run": (SLICE | RUN, "tpu_vm.sh", "run", ENVS),
    "tpu_vm_resume": (SLICE | RUN, "tpu_vm.sh", "resume", ENVS),
    "tpu_vm_watch": (SLICE | KIND | RUN, "tpu_vm.sh", "watch", ENVS),
    "tpu_vm_delete": (SLICE, "tpu_vm.sh", "delete"),
    "xpk": (SLICE | KIND | RUN | CLUSTER, "xpk.sh", ENVS),
    "slurm": (RUN | {"EDELINE_WORKDIR": "/shared/breakout"}, "slurm.sbatch", "--config.env.num_envs=16"),
    "slurm_atari100k": ({"EDELINE_OUTPUTS": "/shared/runs", "EDELINE_SEEDS": "2"}, "slurm_atari100k.sbatch"),
    "local_grid": (
        {"EDELINE_DEVICES": "0,1"},
        "local_grid.sh",
        "/runs",
        "pong,breakout",
        "0,1,2",
        "--config.wandb.mode=online",
    ),
    "local_grid_tpu": ({"EDELINE_DEVICES": "2", "EDELINE_DEVICE_KIND": "tpu"}, "local_grid.sh", "/runs", "pong", "0"),
    "local_grid_gpus": (
        {"GPUS": "GPU 0: H100 (UUID: a)\nGPU 1: H100 (UUID: b)\n"},
        "local_grid.sh",
        "/runs",
        "pong",
        "0,1",
    ),
    "local_grid_shared": (
        {"EDELINE_DEVICES": "0,1", "EDELINE_RUNS_PER_DEVICE": "3"},
        "local_grid.sh",
        "/runs",
        "pong",
        "0,1,2",
    ),
    "local_grid_one": ({}, "local_grid.sh", "/runs", "pong", "0,1"),
    "local_grid_preset": ({"EDELINE_PRESET": "tiny"}, "local_grid.sh", "/runs", "pong", "0"),
    "first_hour_parity": ({}, FIRST_HOUR, "parity"),
    "first_hour_ceilings": ({}, FIRST_HOUR, "ceilings"),
    "first_hour_updates": ({"EDELINE_GAME": "pong", "EDELINE_PRESET": "tiny"}, FIRST_HOUR, "updates"),
    "first_hour_run": ({"EDELINE_MINUTES": "3"}, FIRST_HOUR, "run"),
}

# What each script cannot do without.
NEEDED = {
    ("tpu_vm.sh", "create"): SLICE | KIND,
    ("tpu_vm.sh", "copy"): SLICE,
    ("tpu_vm.sh", "run"): SLICE | RUN,
    ("tpu_vm.sh", "resume"): SLICE | RUN,
    ("tpu_vm.sh", "watch"): SLICE | KIND | RUN,
    ("tpu_vm.sh", "delete"): SLICE,
    ("xpk.sh",): CLUSTER | SLICE | RUN | {"EDELINE_ACCELERATOR": "v5litepod-16"},
    ("slurm.sbatch",): RUN,
    ("slurm_atari100k.sbatch",): {"EDELINE_OUTPUTS": ""},
}
del NEEDED[("xpk.sh",)]["EDELINE_TPU_NAME"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "repository")


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*"))


@pytest.mark.parametrize("name", DRY_RUNS)
def test_a_dry_run_prints_the_commands_and_changes_nothing(name: str, root: Path) -> None:
    variables, script, *arguments = DRY_RUNS[name]
    (root / "outputs" / "a run").mkdir(parents=True)
    (root / "outputs" / "a run" / "config.json").touch()
    before = files(root)
    result = launch(root, script, "--dry-run", *arguments, **variables)
    assert result.returncode == 0 and result.stderr == ""
    assert files(root) == before
    printed = result.stdout.replace(str(root), "/repository")
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("EDELINE_WRITE_GOLDEN"):
        golden.write_text(printed)
    assert printed == golden.read_text()


def test_every_script_has_a_dry_run() -> None:
    scripts = {script for _, script, *_ in DRY_RUNS.values()}
    assert scripts | {"dry_run.sh"} == {path.name for path in (ROOT / "launch").iterdir()} | {FIRST_HOUR}


def test_a_printed_command_is_the_command(root: Path) -> None:
    words = ["it's", "a  b", "$HOME", "", "*", "a,b", "--x=(y)", "ü"]
    (printed,) = (x for x in launch(root, "quickstart.sh", "--dry-run", *words).stdout.splitlines() if "train" in x)
    pasted = subprocess.run(["bash", "-c", f"printf '%s\\n' {printed}"], capture_output=True, text=True).stdout
    assert pasted.splitlines()[-len(words) :] == words


@pytest.mark.parametrize("command", NEEDED, ids="-".join)
def test_missing_variables_are_named_together(command: tuple[str, ...], root: Path) -> None:
    needed = NEEDED[command]
    result = launch(root, *command)
    assert_one_line_error(result, *(f"{name}=" for name in needed))
    first, *rest = needed
    result = launch(root, *command, **{first: "given"})
    if rest:
        assert_one_line_error(result, *(f"{name}=" for name in rest))
        assert f"{first}=" not in result.stderr


def test_a_dry_run_that_comes_too_late_is_refused(root: Path) -> None:
    assert_one_line_error(launch(root, "tpu_vm.sh", "delete", "--dry-run", **SLICE), "--dry-run must be the first")


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        (SLICE | RUN | {"EDELINE_WORKDIR": "outputs/breakout"}, ("tpu_vm.sh", "run")),
        (SLICE | KIND | RUN | CLUSTER | {"EDELINE_WORKDIR": "/mnt/breakout"}, ("xpk.sh",)),
        (RUN, ("slurm.sbatch",)),
        ({"EDELINE_OUTPUTS": "gs://my-bucket/runs"}, ("slurm_atari100k.sbatch",)),
    ],
)
def test_a_folder_that_the_processes_do_not_share_is_refused(
    variables: dict[str, str], command: tuple[str, ...], root: Path
) -> None:
    (wrong,) = (name for name in ("EDELINE_WORKDIR", "EDELINE_OUTPUTS") if name in variables)
    assert_one_line_error(launch(root, *command, **variables), f"{wrong}={variables[wrong]}")


def test_the_array_has_every_game_with_every_seed(root: Path) -> None:
    printed = launch(root, "slurm_atari100k.sbatch", "--dry-run", EDELINE_OUTPUTS="/runs").stdout
    pairs = re.findall(
        r"--config=configs/atari.py:(\w+) --config.seed=(\d+) .* --workdir=/runs/(\w+)/(\d+)$", printed, re.M
    )
    assert all(pair[:2] == pair[2:] for pair in pairs)
    assert [pair[:2] for pair in pairs] == [(game, str(seed)) for seed in range(5) for game in GAMES]
    array = re.search("#SBATCH --array=0-(.*)", (ROOT / "launch" / "slurm_atari100k.sbatch").read_text())
    assert int(array[1]) == len(pairs) - 1
