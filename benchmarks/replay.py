"""Measures a replay on the device and one on the host: memory, and how fast batches are drawn from it.

    python -m benchmarks.replay FOLDER [HOST_STEPS=1_000_000] [DEVICE_STEPS=100_000]

Frames are synthetic, 64 x 64, episodes of 500 steps in one stream; the host's file lies in FOLDER (12.3 GB for a
million steps) and is gone with the program. Batches are those of the paper's updates: 32 segments of 19 steps for the
world model, 16 x 32 starts of 4 frames for the actor-critic. Each placement runs in a process of its own.
"""

import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from benchmarks.timing import median_seconds
from configs.atari import get_config
from edeline_jax.acting.replay_keeper import empty_replay
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, pour
from edeline_jax.learning.drawing import Drawer
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.updates import actor_critic_places, world_model_places
from edeline_jax.replay.buffer import Replay, append
from edeline_jax.replay.chunk import Chunk
from edeline_jax.replay.episode_table import EpisodeTable
from edeline_jax.replay.host import is_on_host, write
from edeline_jax.replay.sampling import read
from edeline_jax.runtime.devices import AXIS, make_mesh

CHUNK, EPISODE, REPEATS = 1_000, 500, 50
PLACES_OF = {"world_model": world_model_places, "actor_critic": actor_critic_places}
COLUMNS = ("replay", "steps", "frames, GB", "filled in, s", "host memory of its own, GB", "pages of the file, GB")
COLUMNS += ("arrays on the device, GB", "world-model batches/s", "actor-critic batches/s")


def main() -> None:
    folder, *steps = sys.argv[1:]
    if folder in ("device", "host"):
        print(f"| {' | '.join(measure(folder, int(steps[0]), steps[1]))} |")
        return
    host, device = (int(x) for x in [*steps, *("1_000_000", "100_000")[len(steps) :]])
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for placement, number in (("device", device), ("host", device), ("host", host)):
        command = [sys.executable, "-m", "benchmarks.replay", placement, str(number), folder]
        subprocess.run(command, check=True)


def measure(placement: str, num_steps: int, folder: str) -> list[str]:
    """A row of the table."""
    values = get_config("breakout")
    values.replay.placement, values.collection.num_steps_total = placement, num_steps
    config, mesh = pour(values), make_mesh(jax.devices()[:1])
    begin = time.perf_counter()
    replay = filled(empty_replay(config, mesh, num_steps, folder), num_steps)
    seconds = time.perf_counter() - begin
    rates = [1 / seconds_of_batch(network, replay, config) for network in PLACES_OF]
    on_device = sum(x.nbytes for x in jax.live_arrays()) / 1e9
    own, pages = (memory(kind) / 1e9 for kind in ("RssAnon", "RssFile"))
    size = f"{replay.frames.nbytes / 1e9:.2f}"
    figures = (f"{seconds:.0f}", *(f"{x:.2f}" for x in (own, pages, on_device)), *(f"{rate:.0f}" for rate in rates))
    return [placement, f"{num_steps:,}", size, *figures]


def filled(replay: Replay, num_steps: int) -> Replay:
    """The replay with frames that all differ."""
    table, rng = EpisodeTable(1, num_steps), np.random.default_rng(0)
    noise = rng.integers(0, 256, (1, CHUNK, 64, 64, 3), np.uint8)
    numbers, no = np.zeros((1, CHUNK), np.int32), np.zeros((1, CHUNK), bool)
    starts = np.arange(CHUNK)[None] % EPISODE == 0
    on_device = jax.jit(append, donate_argnums=0)
    for first in range(0, num_steps, CHUNK):
        noise += np.uint8(1)
        chunk = Chunk(noise, numbers, numbers.astype(np.float32), no, no, starts, starts)
        table.record(starts, starts)
        if is_on_host(replay):
            write(replay, chunk, first)
        else:
            replay = on_device(replay, chunk, first)
    episodes, num_episodes = map(jax.numpy.asarray, table.arrays())
    return jax.block_until_ready(replay._replace(episodes=episodes, num_episodes=num_episodes))


def seconds_of_batch(network: str, replay: Replay, config: Config) -> float:
    """Median seconds until an update's steps are on the device."""
    mesh = make_mesh(jax.devices()[:1])
    setup = make_setup(build_agent(config, 4), config, AXIS)
    drawer, key = Drawer(PLACES_OF[network], 1, setup, mesh), jax.random.key(0)
    updates = iter(range(REPEATS + 1))
    gather = drawer.send if is_on_host(replay) else jax.jit(lambda replay, places: read(replay, one_device(places)))
    return median_seconds(lambda: gather(replay, drawer.draw(key, replay, next(updates))), REPEATS)


def one_device(places: tuple) -> tuple:
    """Places without the axis of the devices."""
    return jax.tree.map(lambda x: x[0], places)


def memory(kind: str) -> float:
    """Bytes of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


if __name__ == "__main__":
    main()
