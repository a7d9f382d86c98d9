"""What the launch scripts do with runs that end, fail or are stopped; the runs are stand-ins."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.launch.stand_ins import environment, launch, make_root, write_program
from tests.runs import assert_one_line_error

# Notes when a run starts and ends, on which device, and fails with seed 13. A signal ends it well.
TRAIN = """
[[ $1 != -c ]] || { echo 3.11; exit 0; }
[[ "$*" == *edeline_jax.train* ]] || { echo "$*" >>others; exit 0; }
game=$(grep -o 'atari.py:[a-z_]*' <<<"$*" | cut -d: -f2)
seed=$(grep -o 'config.seed=[0-9]*' <<<"$*" | cut -d= -f2)
note() { echo "$1 ${CUDA_VISIBLE_DEVICES-} $game $seed" >>notes; }
stopped=
trap 'note stopped; stopped=1' TERM INT
note start
echo "training $game"
sleep "${BUSY:-0.2}" & wait
[[ -z $stopped ]] || { kill $!; sleep 0.5; exit 0; } # time for a second signal, which would be noted
note end
((seed != 13))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path / "repository")
    write_program(root / ".venv" / "bin" / "python", TRAIN)
    write_program(root / ".venv" / "bin" / "pip", "")
    return root


def test_each_python_has_its_versions_and_a_change_of_them_is_installed(root: Path) -> None:
    old, new = (f"--constraint constraints/python3.{minor}.txt" for minor in (11, 12))
    assert launch(root, "environment.sh").returncode == 0
    assert old in (root / "others").read_text()
    (root / "others").unlink()
    (root / "constraints" / "python3.12.txt").write_text("of another Python")
    assert launch(root, "environment.sh").returncode == 0
    assert not (root / "others").exists()
    (root / "constraints" / "python3.11.txt").write_text("newer")
    assert launch(root, "environment.sh").returncode == 0
    assert old in (root / "others").read_text()
    shutil.rmtree(root / ".venv")
    for version, constraints in {"3.11": old, "3.12": new, "3.20": new}.items():
        write_program(root / "bin" / "python3", f"echo {version}")
        assert constraints in launch(root, "environment.sh", "--dry-run").stdout


@pytest.mark.parametrize("version", ["2.7", "3.10", "4.0", ""])
def test_a_python_that_will_not_do_is_named_with_what_to_do(tmp_path: Path, version: str) -> None:
    root = make_root(tmp_path / "repository", python3=f"echo {version}")
    found = f"is Python {version};" if version else "cannot be run;"
    assert_one_line_error(launch(root, "environment.sh"), f"python3 {found}", "EDELINE_PYTHON=python3.12")
    write_program(root / "bin" / "python3.12", f"echo {version}")
    given = launch(root, "environment.sh", EDELINE_PYTHON="python3.12")
    assert_one_line_error(given, f"EDELINE_PYTHON=python3.12 {found}", "apt install", "uv python install")
    assert given.stderr.count("EDELINE_PYTHON") == 1
    assert not (root / ".venv").exists()


def test_an_environment_of_another_python_is_not_taken_for_the_one_asked_for(root: Path) -> None:
    result = launch(root, "environment.sh", EDELINE_PYTHON="python3.13")
    assert_one_line_error(result, "EDELINE_PYTHON=python3.13", "Python 3.11", "remove .venv")
    assert launch(root, "environment.sh", EDELINE_PYTHON="python3").returncode == 0


def notes(root: Path) -> list[list[str]]:
    return [line.split() for line in (root / "notes").read_text().splitlines()]


def test_a_grid_does_every_run_once_and_one_at_a_time_on_a_device(root: Path) -> None:
    result = launch(root, "local_grid.sh", "out", "pong,breakout", "0,1,2", EDELINE_DEVICES="4,7")
    assert result.returncode == 0, result.stderr
    runs = [(game, seed) for event, _, game, seed in notes(root) if event == "start"]
    assert sorted(runs) == [(game, seed) for game in ("breakout", "pong") for seed in "012"]
    for device in "47":
        events = [event for event, on, _, _ in notes(root) if on == device]
        assert events == ["start", "end"] * (len(events) // 2) and events  # both devices work
    assert (root / "out" / "pong" / "2.log").read_text() == "training pong\n"
    assert (root / "others").read_text().splitlines()[-1] == f"-m edeline_jax.report {root / 'out'}"


def test_runs_share_a_device_if_that_is_wanted(root: Path) -> None:
    result = launch(
        root, "local_grid.sh", "out", "pong", "0,1,2,3", EDELINE_DEVICES="4", EDELINE_RUNS_PER_DEVICE="2", BUSY="1"
    )
    assert result.returncode == 0, result.stderr
    running, most = 0, 0
    for event, device, *_ in notes(root):
        assert device == "4"
        running += 1 if event == "start" else -1
        most = max(most, running)
    assert most == 2 and len(notes(root)) == 8


@pytest.mark.parametrize("variables", [{"EDELINE_RUNS_PER_DEVICE": "many"}, {"EDELINE_DEVICE_KIND": "tpu"}])
def test_a_share_that_cannot_be_is_one_line(root: Path, variables: dict[str, str]) -> None:
    variables = {"EDELINE_DEVICES": "0", "EDELINE_RUNS_PER_DEVICE": "2"} | variables
    result = launch(root, "local_grid.sh", "out", "pong", "0", **variables)
    assert_one_line_error(result, f"EDELINE_RUNS_PER_DEVICE={variables['EDELINE_RUNS_PER_DEVICE']}: ")


def test_a_run_that_fails_is_named_and_the_others_end(root: Path) -> None:
    result = launch(root, "local_grid.sh", "out", "pong,breakout", "13,0", EDELINE_DEVICES="0")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: these runs failed:",
        f"breakout, seed 13: {root / 'out' / 'breakout' / '13.log'}",
        f"pong, seed 13: {root / 'out' / 'pong' / '13.log'}",
    ]
    assert [event for event, *_ in notes(root)].count("end") == 4


def test_a_folder_that_cannot_be_made_is_a_failure(root: Path) -> None:
    (root / "out").touch()
    result = launch(root, "local_grid.sh", "out", "pong", "0")
    assert result.returncode == 1 and f"pong, seed 0: {root / 'out' / 'pong' / '0.log'}" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_runs_once_and_starts_no_more(root: Path, number: signal.Signals) -> None:
    line = ["bash", "launch/local_grid.sh", "out", "pong", "0,1,2,3"]
    env = environment(root, EDELINE_DEVICES="0,1", BUSY="60")
    pipe = subprocess.PIPE

    def as_from_a_terminal() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests themselves run in the background
        os.setsid()

    grid = subprocess.Popen(line, cwd=root, env=env, stdout=pipe, stderr=pipe, text=True, preexec_fn=as_from_a_terminal)
    deadline = time.monotonic() + 30
    while not (root / "notes").exists() or len(notes(root)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(grid.pid, number)  # as a terminal does
    _, complaints = grid.communicate(timeout=30)
    assert grid.returncode == 0 and complaints.startswith("stopping: ")
    assert sorted(event for event, *_ in notes(root)) == ["start", "start", "stopped", "stopped"]


# Notes what it was asked for; the slice is pre-empted as often as there are lines in `preemptions`.
GCLOUD = """
echo "$4" >>calls
case $4 in
  ssh) [[ "$*" != *edeline_jax.train* ]] || exit "${STATUS:-0}" ;;
  describe)
    if [[ -s preemptions ]]; then echo PREEMPTED; sed -i 1d preemptions; else echo READY; fi ;;
esac
"""
SLICE = {
    "EDELINE_TPU_NAME": "edeline",
    "EDELINE_ZONE": "us-west4-a",
    "EDELINE_PROJECT": "my-project",
    "EDELINE_ACCELERATOR": "v5litepod-8",
    "EDELINE_RUNTIME": "v2-alpha-tpuv5-lite",
    "EDELINE_CONFIG": "configs/atari.py:breakout",
    "EDELINE_WORKDIR": "gs://my-bucket/breakout",
}


@pytest.mark.parametrize("status", [0, 1])
def test_watch_makes_a_preempted_slice_again_and_then_tells_how_the_run_ended(tmp_path: Path, status: int) -> None:
    root = make_root(tmp_path / "repository", gcloud=GCLOUD, git="", sleep="")
    (root / "preemptions").write_text("first\nsecond\n")
    result = launch(root, "tpu_vm.sh", "watch", **SLICE, STATUS=str(status))
    assert result.returncode == status
    again = ["ssh", "describe", "delete", "create", "scp", "ssh"]
    assert (root / "calls").read_text().split() == [*again, *again, "ssh", "describe"]


@pytest.mark.parametrize(
    ("status", "finished", "requeued"), [(0, False, True), (0, True, False), (1, False, False)], ids=str
)
def test_a_job_queues_up_again_where_it_was_told_to_stop(
    tmp_path: Path, status: int, finished: bool, requeued: bool
) -> None:
    root = make_root(tmp_path / "repository", srun=f"exit {status}", scontrol='echo "$*" >>calls')
    (root / "run").mkdir()
    if finished:
        (root / "run" / "summary.json").touch()
    variables = {"SLURM_SUBMIT_DIR": str(root), "SLURM_JOB_ID": "42"}
    run = {"EDELINE_CONFIG": "configs/atari.py:pong", "EDELINE_WORKDIR": "run"}
    assert launch(root, "slurm.sbatch", **variables, **run).returncode == status
    assert (root / "calls").exists() == requeued
    if requeued:
        assert (root / "calls").read_text() == "requeue 42\n"


def test_the_first_hour_goes_on_to_tf32_if_full_precision_fails(tmp_path: Path) -> None:
    """And its status says so; what the parts print is kept."""
    python = 'echo "${JAX_DEFAULT_MATMUL_PRECISION-full} $*"; [[ ${JAX_DEFAULT_MATMUL_PRECISION-} ]]'
    root = make_root(tmp_path / "repository", python3=python)
    assert launch(root, "../benchmarks/first_hour.sh", "parity").returncode == 1
    kept = root / "outputs" / "first_hour"
    assert (kept / "parity_highest.txt").read_text().startswith("full -m pytest")
    assert (kept / "parity_tf32.txt").read_text().startswith("tensorfloat32 -m pytest")


def test_training_of_the_first_hour_ends_well_when_its_time_is_up(tmp_path: Path) -> None:
    python = 'trap "echo saved; exit 0" TERM; echo "$*"; [[ $* == *kernels* ]] || { sleep 60 & wait; }'
    root = make_root(tmp_path / "repository", python3=python)
    result = launch(root, "../benchmarks/first_hour.sh", "run", EDELINE_MINUTES="0.02")
    assert result.returncode == 0, result.stderr
    assert (root / "outputs" / "first_hour" / "run.txt").read_text().endswith("saved\n")
    assert "profile/actor_critic" in (root / "outputs" / "first_hour" / "kernels_actor_critic.txt").read_text()
    wrong = launch(root, "../benchmarks/first_hour.sh", "film")
    assert wrong.returncode == 1 and "unknown part film: expected parity, ceilings" in wrong.stderr


def test_a_task_of_the_array_is_one_run_and_one_beyond_them_is_refused(tmp_path: Path) -> None:
    root = make_root(tmp_path / "repository", srun='echo "$*" >>calls', scontrol="")
    variables = {"SLURM_SUBMIT_DIR": str(root), "SLURM_JOB_ID": "42", "EDELINE_OUTPUTS": "out", "EDELINE_SEEDS": "2"}
    assert launch(root, "slurm_atari100k.sbatch", **variables, SLURM_ARRAY_TASK_ID="27").returncode == 0
    (call,) = (root / "calls").read_text().splitlines()
    assert "--config=configs/atari.py:amidar --config.seed=1 " in call and call.endswith("--workdir=out/amidar/1")
    beyond = launch(root, "slurm_atari100k.sbatch", **variables, SLURM_ARRAY_TASK_ID="52")
    assert beyond.returncode == 1 and "task 52 of 52" in beyond.stderr
