"""Measures the cost of saving and resuming at paper size with 100,000 steps in the replay: seconds and bytes.

    python -m benchmarks.checkpointing FOLDER

Networks and replay are the paper's; the steps are real Breakout frames of a random policy, repeated. No training.
"""

import statistics
import sys
from pathlib import Path

import jax
import numpy as np

from benchmarks.timing import seconds
from benchmarks.workload import random_play
from configs.atari import get_config
from edeline_jax.acting.replay_keeper import ReplayKeeper, empty_replay, steps_per_env
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.dataset.journal import Journal
from edeline_jax.envs import make_env
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import TrainState, init_state
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.workdir.checkpoints import Checkpoints
from edeline_jax.workdir.progress import Progress

STEPS_PER_EPOCH, CHUNKS, SAVES = 100, 1000, 5


def noisy(state: TrainState) -> TrainState:
    """The state with noise, as after some training: fresh optimizer moments are zeros, which compress to nothing."""
    rng = np.random.default_rng(0)
    rest = state._replace(key=None)
    return jax.tree.map(lambda x: x + rng.normal(size=x.shape).astype(x.dtype), rest)._replace(key=state.key)


def size(folder: Path) -> float:
    """Total size of the files below a folder, in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    folder = Path(sys.argv[1])
    config = pour(get_config("breakout"))
    mesh = make_mesh()
    journal = Journal(folder / "replay", 1, (64, 64, 3))
    recorded = random_play(make_env(config.env, 1, 0, lives_end=True), 10 * STEPS_PER_EPOCH)
    parts = [jax.tree.map(lambda x, i=i: x[:, i * 100 : (i + 1) * 100], recorded) for i in range(10)]
    times = [seconds(lambda i=i: journal.append(parts[i % 10], i * STEPS_PER_EPOCH)) for i in range(CHUNKS)]
    print(f"journal: {statistics.median(times) * 1e3:.1f} ms and {size(folder / 'replay') / CHUNKS:.3f} MB per epoch")
    print(f"journal of {CHUNKS * STEPS_PER_EPOCH:,} steps: {size(folder / 'replay'):.0f} MB")

    state = noisy(init_state(make_setup(build_agent(config, 4), config), jax.random.key(0)))
    checkpoints = Checkpoints(folder, config.checkpointing)
    blocking, background = [], []
    for epoch in range(1, SAVES + 1):
        blocking.append(seconds(lambda epoch=epoch: checkpoints.save(state, Progress(epoch=epoch))))
        background.append(seconds(checkpoints.wait))
    newest = size(folder / "checkpoints" / str(SAVES))
    blocked, rest = statistics.median(blocking[1:]), statistics.median(background)
    print(f"state: {blocked:.2f} s in the way of training, then {rest:.2f} s beside it")
    print(f"state: {newest:.0f} MB; two are kept")

    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), state)
    print(f"resume: state {seconds(lambda: checkpoints.restore(shapes)):.1f} s", end=", ")
    capacity = steps_per_env(config)
    keeper = ReplayKeeper(config, mesh, journal, capacity)
    fill = seconds(
        lambda: keeper.restore(
            empty_replay(config, mesh, capacity), CHUNKS * STEPS_PER_EPOCH
        ).frames.block_until_ready()
    )
    print(f"replay of 100,000 steps {fill:.1f} s")
    checkpoints.close()


if __name__ == "__main__":
    main()
