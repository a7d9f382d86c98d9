"""What `srun` says, and how a process joins the others by it; JAX and the other processes are stand-ins."""

import os

import jax
import pytest

from edeline_jax.runtime import cluster
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.slurm import Step, first_host, step

Calls = list[tuple[str, tuple, dict]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What a joining process does, in its order."""
    for name in os.environ:
        if name.startswith(("SLURM_", "JAX_COORDINATOR", "JAX_NUM_PROC", "JAX_PROCESS")):
            monkeypatch.delenv(name)
    made: Calls = []
    monkeypatch.setattr(cluster, "call_roll", lambda *args: made.append(("roll", args[:3], {})))
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args, **kwargs: made.append(("join", args, kwargs)))
    return made


def as_task(patch: pytest.MonkeyPatch, number: int, tasks: int, nodes: int, **more: str) -> None:
    """As `srun` starts it."""
    known = {
        "SLURM_JOB_ID": "70001",
        "SLURM_STEP_NODELIST": "gpu[007-009],big1",
        "SLURM_NTASKS": str(tasks),
        "SLURM_PROCID": str(number),
        "SLURM_LOCALID": str(number % (tasks // nodes)),
        "SLURM_STEP_NUM_NODES": str(nodes),
    }
    for name, value in (known | more).items():
        patch.setenv(name, value)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("localhost", "localhost"),
        ("gpu1,gpu2", "gpu1"),
        ("gpu[003-007,9],big1", "gpu003"),
        ("rack[2-3]node[10-12]", "rack2node10"),
        ("a-b[5].site,c", "a-b5.site"),
    ],
)
def test_the_first_host_of_a_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


def test_the_place_of_a_task(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    assert step() is None
    as_task(monkeypatch, 5, 8, 2)
    port = 61440 + 70001 % 4096  # where JAX looks, too
    assert step() == Step(f"gpu007:{port}", 8, 5, alone=False)
    monkeypatch.setenv("JAX_COORDINATOR_PORT", "1234")
    assert step().coordinator_address == "gpu007:1234"
    monkeypatch.delenv("SLURM_LOCALID")  # a shell of `salloc`, which is no task
    assert step() is None


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_single_task_joins_nobody_and_keeps_all_its_devices(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """JAX would make it see the first one only."""
    as_task(monkeypatch, 0, 1, 1)
    cluster.join(mode)
    assert calls == []


def test_the_only_task_of_a_node_has_all_devices_there(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    as_task(monkeypatch, 1, 2, 2)
    cluster.join("auto")
    (roll, place, _), (join, _, arguments) = calls
    address = f"gpu007:{61440 + 70001 % 4096}"
    assert (roll, place, join) == ("roll", (address, 1, 2), "join")
    assert (arguments["coordinator_address"], arguments["num_processes"], arguments["process_id"]) == (address, 2, 1)
    assert arguments["cluster_detection_method"] == "deactivate"  # with it JAX would choose one device


def test_tasks_that_share_a_node_have_the_device_that_jax_gives_them(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_task(monkeypatch, 3, 4, 1)
    cluster.join("auto")
    arguments = calls[-1][2]
    assert arguments["process_id"] == 3 and "cluster_detection_method" not in arguments
    assert "local_device_ids" not in arguments


@pytest.mark.parametrize("tasks", [1, 4])
def test_variables_come_before_slurm(calls: Calls, monkeypatch: pytest.MonkeyPatch, tasks: int) -> None:
    as_task(monkeypatch, 0, tasks, 1, JAX_COORDINATOR_ADDRESS="here:99", JAX_NUM_PROCESSES="2", JAX_PROCESS_ID="1")
    cluster.join("auto")
    assert calls[0] == ("roll", ("here:99", 1, 2), {})
    assert calls[1][2]["coordinator_address"] == "here:99" and calls[1][2]["num_processes"] == 2


def test_a_world_that_does_not_assemble_is_one_line_and_jax_is_not_asked(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*args: object) -> None:
        raise UserError("process 2 of 4 has not come to here:99")

    as_task(monkeypatch, 0, 4, 1)
    monkeypatch.setattr(cluster, "call_roll", missing)
    with pytest.raises(UserError, match=r"^--distributed=auto: process 2 of 4 has not come .*; --distributed=off is"):
        cluster.join("auto")
    assert calls == []
