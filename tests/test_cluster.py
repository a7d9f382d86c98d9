"""Several processes on this machine, through the real entry point: they train, are killed, stop together and resume."""

import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.dataset.journal import Journal
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import state_shapes
from edeline_jax.workdir.checkpoints import Checkpoints
from edeline_jax.workdir.folder import RunFolder
from tests.runs import (
    LOG_PROGRAMS,
    ROOT,
    assert_nothing_compiles_after_the_first_epoch,
    assert_same_arrays,
    command,
    environment,
    read_until,
    rows,
    summary,
    train,
)

UPDATES = [f"config.{network}.training.steps_per_epoch" for network in ("world_model", "actor_critic")]
UPDATES_MAY_CHANGE = (f"--allow_config_change={','.join(UPDATES)}",)
MORE = ("--config.training.num_final_epochs=200", *UPDATES_MAY_CHANGE)


def start_processes(
    workdir: Path | str,
    processes: int,
    devices: int,
    *overrides: str,
    of_one: tuple[str, ...] = (),
    folders: tuple[Path, ...] = (),
    stderr: int = subprocess.PIPE,
    **more: str,
) -> list:
    """One run of several processes.

    `of_one` are further flags of the last one, `folders` where they are started, `more` variables of all of them.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    started = []
    for number in range(processes):
        line = [*command(workdir, *overrides), *(of_one if number == processes - 1 else ())]
        variables = {"JAX_COORDINATOR_ADDRESS": f"localhost:{port}", "JAX_NUM_PROCESSES": str(processes)}
        env = environment(devices, JAX_PROCESS_ID=str(number), PYTHONPATH=str(ROOT), **variables, **more)
        pipes = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True}
        started.append(subprocess.Popen(line, cwd=folders[number] if folders else ROOT, env=env, **pipes))
    return started


def outputs(processes: list, timeout: float = 600) -> list[tuple[int, str, str]]:
    """Exit status, standard output and errors of each, once all have ended."""
    with ThreadPoolExecutor() as pool:  # read all at once: a full pipe makes a process wait, and the others for it
        texts = list(pool.map(lambda process: process.communicate(timeout=timeout), processes))
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]


def saved(workdir: Path, num_actions: int = 3) -> tuple[int, dict[str, np.ndarray]]:
    """Number and arrays of the newest full state, read on one device."""
    config = pour(RunFolder(workdir).read_config())
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = state_shapes(make_setup(build_agent(config, num_actions), config))
    checkpoints = Checkpoints(workdir, config.checkpointing)
    state, _ = checkpoints.restore(jax.tree.map(lambda x: x.update(sharding=device), shapes))
    number = int(checkpoints.newest.name)
    checkpoints.close()
    leaves = jax.tree_util.tree_leaves_with_path(state._replace(key=jax.random.key_data(state.key)))
    return number, {jax.tree_util.keystr(path): np.asarray(x) for path, x in leaves}


pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run of two processes with two devices each, and what they said; later tests go on with it."""
    workdir = tmp_path_factory.mktemp("run")
    processes = start_processes(workdir, 2, 2, "--config.evaluation.every=1", stderr=subprocess.STDOUT, **LOG_PROGRAMS)
    results = outputs(processes)
    assert [status for status, _, _ in results] == [0, 0], results
    return workdir, [output for _, output, _ in results]


@pytest.fixture(scope="module")
def run(first_start: tuple[Path, list[str]]) -> Path:
    return first_start[0]


def test_only_the_main_process_speaks(first_start: tuple[Path, list[str]]) -> None:
    main, other = first_start[1]
    assert "devices: 4 x" in main and "edeline-jax:" not in other and "epoch" not in other


def test_nothing_compiles_after_the_first_epoch(first_start: tuple[Path, list[str]]) -> None:
    assert_nothing_compiles_after_the_first_epoch(first_start[1][0])


def test_two_processes_keep_the_schedule_of_one(run: Path) -> None:
    end, written = summary(run), rows(run)
    assert end["progress"]["env_steps"] == 160 and end["progress"]["epoch"] == 4 and end["num_games"] == 6
    assert (end["world_model_updates"], end["actor_critic_updates"]) == (9, 9)
    assert [row["epoch"] for row in written if "seconds/other" in row] == [1, 2, 3, 4]  # each line once


def test_games_of_all_processes_are_counted(run: Path) -> None:
    """Each of 8 environments takes 20 steps, and a game has 9."""
    assert sum(row.get("collect/num_games", 0) for row in rows(run)) == 8 * (20 // 9)


def collected(run: Path) -> np.ndarray:
    """All frames of the journal, [streams, steps, ...]."""
    return np.concatenate([chunk.frames for _, chunk in Journal(run / "replay", 8, (20, 20, 3)).read(20)], 1)


def test_processes_play_games_of_their_own(run: Path) -> None:
    frames = collected(run)
    assert frames.shape[:2] == (8, 20)
    assert len({stream.tobytes() for stream in frames}) == 8


@pytest.mark.slow
def test_two_processes_learn_the_same_with_the_replay_on_their_hosts(run: Path, tmp_path: Path) -> None:
    """Each reads the steps of its own devices."""
    results = outputs(start_processes(tmp_path, 2, 2, "--config.evaluation.every=1", "--config.replay.placement=host"))
    assert [status for status, _, _ in results] == [0, 0], results
    assert "replay: 160 steps, 0.000 GB in a memory-mapped file of each host" in results[0][1]
    expected, got = saved(run)[1], saved(tmp_path)[1]
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_it_goes_on_with_other_processes_and_devices(run: Path) -> None:
    """Epochs without updates: every start reads state and replay, and saves the state again."""
    number, expected = saved(run)
    frames = collected(run)
    for more, (processes, devices) in enumerate(((4, 2), (1, 1), (1, 8), (2, 2), (1, 8)), start=1):
        flags = [f"--config.training.num_final_epochs={1 + more}", *UPDATES_MAY_CHANGE]
        flags += [f"--{key}=0" for key in UPDATES]
        results = outputs(start_processes(run, processes, devices, *flags))
        assert [status for status, _, _ in results] == [0] * processes, results
        assert f"devices: {processes * devices} x" in results[0][1] and "resumed after epoch" in results[0][1]
        before, (number, state) = number, saved(run)
        assert number > before
        assert_same_arrays(state, expected)
        np.testing.assert_array_equal(collected(run), frames)


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 4])
def test_a_killed_process_ends_the_others_and_the_run_goes_on(run: Path, number: int) -> None:
    processes = start_processes(run, number, 2, *MORE)
    read_until(processes[0], "epoch")
    read_until(processes[0], "epoch")
    processes[-1].kill()
    begin = time.monotonic()
    for status, _, errors in outputs(processes[:-1], timeout=60):
        assert status != 0 and "another" in errors, errors  # process or task, as we or JAX put it
    assert time.monotonic() - begin < 60
    processes = start_processes(run, number, 2, *MORE)
    read_until(processes[0], "resumed after epoch")
    read_until(processes[0], "epoch")
    processes[-1].send_signal(signal.SIGTERM)  # to one of them: all save and end
    results = outputs(processes, timeout=120)
    assert [status for status, _, _ in results] == [0] * number, results
    assert "interrupted in epoch" in results[0][1]


def test_processes_that_disagree_are_refused_in_all(tmp_path: Path) -> None:
    results = outputs(start_processes(tmp_path, 2, 2, of_one=("--config.seed=1",)), timeout=120)
    for status, _, errors in results:
        assert status == 1 and "error: the processes of this run disagree on config.seed (process 1 " in errors, errors
    assert not (tmp_path / "config.json").exists()


def test_a_folder_that_not_every_process_sees_is_refused_in_all(tmp_path: Path) -> None:
    """A relative name means another folder where a process was started elsewhere, as it would on another host."""
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    for status, _, errors in outputs(start_processes("run", 2, 2, folders=folders), timeout=120):
        assert (
            status == 1 and "error: run: not every process of this run sees it; --workdir must be on a disk" in errors
        )
    assert not (folders[1] / "run").exists()


def test_a_batch_that_does_not_divide_is_refused_with_values_that_would(tmp_path: Path) -> None:
    result = train(tmp_path, "--config.world_model.training.batch_size=6", devices=4)
    assert result.returncode == 1 and "6 must be a multiple of the 4 devices: 4 or 8 would do" in result.stderr


def test_environments_that_their_devices_do_not_divide(tmp_path: Path) -> None:
    """One in each process of two devices: every device has both of them."""
    results = outputs(
        start_processes(tmp_path, 2, 2, "--config.env.num_envs=2", "--config.training.num_final_epochs=0")
    )
    assert [status for status, _, _ in results] == [0, 0], results
    assert summary(tmp_path)["progress"]["env_steps"] == 160
    frames = np.concatenate([chunk.frames for _, chunk in Journal(tmp_path / "replay", 2, (20, 20, 3)).read(80)], 1)
    assert frames.shape[:2] == (2, 80) and not np.array_equal(*frames)


def test_fewer_environments_than_processes_are_refused(tmp_path: Path) -> None:
    for status, _, errors in outputs(start_processes(tmp_path, 2, 1, "--config.env.num_envs=1"), timeout=120):
        assert status == 1 and "config.env.num_envs: 1 must be a multiple of the 2 processes" in errors, errors


def test_alone_where_a_cluster_is_insisted_on(tmp_path: Path) -> None:
    result = train(tmp_path, "--distributed=on")
    assert result.returncode == 1 and "--distributed=on: no cluster was recognised" in result.stderr


@pytest.mark.slow
def test_two_processes_learn_without_a_world_model(tmp_path: Path) -> None:
    flags = "--config.training.model_free=True", "--config.training.num_final_epochs=0"
    results = outputs(start_processes(tmp_path, 2, 2, *flags))
    assert [status for status, _, _ in results] == [0, 0], results
    end = summary(tmp_path)  # each update takes 4 steps of 8 environments
    assert (end["progress"]["env_steps"], end["actor_critic_updates"], end["world_model_updates"]) == (160, 5, 0)


@pytest.mark.slow
def test_worlds_in_jax_go_on_in_every_process(tmp_path: Path) -> None:
    """The games of each are saved, so a stopped run ends like one that was never stopped, bit by bit."""
    world = "--config.env.id=recall_16", "--config.training.num_final_epochs=0"
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    processes = start_processes(stopped, 2, 1, *world, stderr=subprocess.STDOUT)
    read_until(processes[0], "epoch 2:")
    processes[0].send_signal(signal.SIGTERM)
    assert [status for status, _, _ in outputs(processes)] == [0, 0]
    assert not (stopped / "summary.json").exists()
    for workdir in (straight, stopped):
        results = outputs(start_processes(workdir, 2, 1, *world))
        assert [status for status, _, _ in results] == [0, 0], results
    steps = [[chunk for _, chunk in Journal(run / "replay", 8, (20, 20, 3)).read(160)] for run in (straight, stopped)]
    assert len(steps[0]) == len(steps[1]) > 2
    for expected, got in zip(*steps, strict=True):
        jax.tree.map(np.testing.assert_array_equal, got, expected)
    expected, got = (saved(run, num_actions=2)[1] for run in (straight, stopped))
    assert_same_arrays(got, expected)
