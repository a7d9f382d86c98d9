"""Full states on the disk: what comes back, and what happens to damaged ones."""

import functools
import logging
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.config.schema import CheckpointingConfig
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import TrainState, init_state, state_shapes
from edeline_jax.runtime.errors import ConfigError, UserError
from edeline_jax.workdir.checkpoints import Checkpoints
from edeline_jax.workdir.progress import Progress
from tests.mutations import mutated
from tests.runs import ROOT, environment
from tests.tiny_config import get_config

CONFIG = pour(get_config())
KEEP = CheckpointingConfig(save_state_every=1, num_states_to_keep=2, save_agent_every=1, num_agents_to_keep=2)


@functools.cache
def state(seed: int) -> TrainState:
    return init_state(make_setup(build_agent(CONFIG, 3), CONFIG), jax.random.key(seed))


def abstract() -> TrainState:
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), state(0))


def restored(folder: Path) -> tuple[TrainState, Progress] | None:
    checkpoints = Checkpoints(folder, KEEP)
    try:
        return checkpoints.restore(abstract())
    finally:
        checkpoints.close()


def assert_equal(got: TrainState, expected: TrainState) -> None:
    same = jax.tree.map(
        lambda a, b: jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key) or (a == b).all(), got, expected
    )
    assert all(jax.tree.leaves(same))
    np.testing.assert_array_equal(jax.random.key_data(got.key), jax.random.key_data(expected.key))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three saves, of which two are kept."""
    folder = tmp_path_factory.mktemp("run")
    checkpoints = Checkpoints(folder, KEEP)
    for number in (1, 2, 3):
        checkpoints.save(state(number), Progress(epoch=number, wall_time=0.5))
    checkpoints.close()
    return folder


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    return tmp_path


def newest_files(run: Path) -> list[Path]:
    return sorted(path for path in (run / "checkpoints" / "3").rglob("*") if path.is_file())


def test_the_newest_state_comes_back(run: Path) -> None:
    got, progress = restored(run)
    assert_equal(got, state(3))
    assert progress == Progress(epoch=3, wall_time=0.5)
    assert sorted(path.name for path in (run / "checkpoints").iterdir() if path.is_dir()) == ["2", "3"]


def test_a_fresh_folder_has_none(tmp_path: Path) -> None:
    assert restored(tmp_path) is None


def test_a_save_takes_a_copy(tmp_path: Path) -> None:
    """The next update gives the state's memory up while the save is still going on."""
    checkpoints = Checkpoints(tmp_path, KEEP)
    mine = jax.tree.map(lambda x: x.copy(), state(4))
    checkpoints.save(mine, Progress(epoch=1))
    spoil = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0, tree), donate_argnums=0)
    spoil((mine.world_model, mine.actor_critic, mine.rollout))
    checkpoints.close()
    assert_equal(restored(tmp_path)[0], state(4))


PREEMPTED = """
import socket, sys, time, jax
with socket.socket() as free:
    free.bind(("localhost", 0))
    port = free.getsockname()[1]
jax.distributed.initialize(f"localhost:{port}", 1, 0)
from pathlib import Path
from tests.workdir.test_checkpoints import KEEP, Checkpoints
checkpoints = Checkpoints(Path(sys.argv[1]), KEEP)
assert not checkpoints.reached_preemption()
print("training", flush=True)
while not checkpoints.reached_preemption():
    time.sleep(0.02)
print("preempted", flush=True)
"""


def test_the_pre_emption_service_of_a_cluster_is_heard(tmp_path: Path) -> None:
    """It takes SIGTERM for an announcement, as cluster schedulers send it."""
    line = [sys.executable, "-c", PREEMPTED, str(tmp_path)]
    process = subprocess.Popen(line, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "training\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "preempted\n"


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_newest_state_is_set_aside(run: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    for path in (path for path in newest_files(run) if path.parent.name == "d"):  # where the arrays are
        content = bytearray(path.read_bytes())
        if damage == "missing":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        else:
            content[len(content) // 2] ^= 0x10
            path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        got, progress = restored(run)
    assert_equal(got, state(2))
    assert progress.epoch == 2
    assert "checkpoint 3 cannot be read" in caplog.text
    assert [path.name.split("-")[0] for path in (run / "set_aside").iterdir()] == ["3"]


def test_nothing_readable_is_no_fresh_start(run: Path) -> None:
    for path in (run / "checkpoints").rglob("manifest.ocdbt"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read; they were moved to .*set_aside"):
        restored(run)
    assert len(list((run / "set_aside").iterdir())) == 2


def test_the_state_of_other_networks_is_refused_and_kept(run: Path) -> None:
    values = get_config()
    values.agent.actor_critic.lstm_dim = 12
    config = pour(values)
    setup = make_setup(build_agent(config, 3), config)
    shapes = state_shapes(setup)
    checkpoints = Checkpoints(run, KEEP)
    message = r"does not fit the config: .*'actor_linear'.*is float32\[8, 3\], expected float32\[12, 3\] and 19 more"
    with pytest.raises(ConfigError, match=message):
        checkpoints.restore(shapes)
    checkpoints.close()
    assert restored(run)[1].epoch == 3


@pytest.mark.parametrize("trials", [24, pytest.param(250, marks=pytest.mark.slow)])
def test_random_damage_never_gives_a_wrong_state(saved: Path, tmp_path: Path, trials: int) -> None:
    """Mutations of files of the newest state: it comes back whole, or the one before it does."""
    rng = np.random.default_rng(trials)
    outcomes = []
    for trial in range(trials):
        run = tmp_path / str(trial)
        shutil.copytree(saved, run)
        files = newest_files(run)
        path = files[rng.integers(len(files))]
        path.write_bytes(mutated(path.read_bytes(), rng))
        got, progress = restored(run)
        assert_equal(got, state(progress.epoch))
        outcomes.append(progress.epoch)
        shutil.rmtree(run)
    assert set(outcomes) == {2, 3}
