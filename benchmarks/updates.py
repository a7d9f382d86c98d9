"""Measures time, memory and FLOPs of both updates and of an imagined step, and the device's matmul rate.

    python -m benchmarks.updates [--config=configs/atari.py:breakout] [--batch=4] [--dtypes=float32,bfloat16]
        [--repeats=5] [--json=FILE]

Each program is compiled as in a run, for all devices, and warmed up. A repeat is a dispatch of about a second (at least
one update), which ends when its metrics are on the host. Prints medians. FLOPs are XLA's (`benchmarks.flops`); the rate
of matrix products is that of one device times their number.
"""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from jax.sharding import PartitionSpec as P
from ml_collections import config_flags

from benchmarks.flops import update_flops
from benchmarks.timing import matmul_rate, median_seconds
from benchmarks.workload import Workload, prepare, resized
from edeline_jax.config import Config, pour
from edeline_jax.learning.programs import UpdateProgram, build_programs
from edeline_jax.learning.state import TrainState
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay, replay_spec
from edeline_jax.replay.sampling import sample_starts
from edeline_jax.replay.segment import Segment
from edeline_jax.runtime import command_line
from edeline_jax.runtime.devices import AXIS, lift, shardings
from edeline_jax.runtime.files import to_path, write_json
from edeline_jax.runtime.memory import peak_memory
from edeline_jax.training.narration import seconds_left
from edeline_jax.workdir.progress import Progress
from edeline_jax.world_model import imagination
from edeline_jax.world_model.imagination import ImaginationState

CONFIG = config_flags.DEFINE_config_file("config", "configs/atari.py:breakout", "What to time.")
BATCH = flags.DEFINE_integer("batch", 0, "Segments, and imagined environments; 0: the config's.", lower_bound=0)
DTYPES = flags.DEFINE_list("dtypes", ["float32", "bfloat16"], "Compute dtypes, one after the other.")
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed dispatches of each program.", lower_bound=1)
JSON = flags.DEFINE_string("json", "", "File for the figures.")

REPLAY_STEPS = 512


def main(argv: Sequence[str]) -> None:
    """Prints a line per figure, and writes them as JSON if asked to, each as soon as it is known."""
    del argv
    device = f"{jax.device_count()} x {jax.devices()[0].device_kind}, JAX {jax.__version__}"
    print(f"| {device} | figure | |\n|---|---|---|")
    results: dict[str, Any] = {"device": device}
    for dtype in DTYPES.value:
        results[dtype] = {}
        for name, figure in measure(resized(pour(CONFIG.value), BATCH.value, dtype)):
            print(f"| {dtype} | {name} | {figure:,.4g} |", flush=True)
            results[dtype][name] = figure
            if JSON.value:
                write_json(to_path(JSON.value), results)


def measure(config: Config) -> Iterator[tuple[str, float]]:
    """The figures of one config, by name with unit, one after the other."""
    work = prepare(config, REPLAY_STEPS)
    batch = config.actor_critic.training.batch_size
    yield "batch", config.world_model.training.batch_size
    yield "environment frames/s", work.env_frames_per_second
    rate = matmul_rate(config.agent.compute_dtype, REPEATS.value) * work.mesh.size
    yield "matrix products, TFLOP/s", rate / 1e12
    flops = update_flops(work.agent, config)
    step = imagined_step(work)
    yield "imagined step, ms", step * 1e3
    yield "imagined frames/s", batch / step
    yield "imagined step, GFLOP", flops["imagined_step"] / 1e9
    yield "imagined step, share of the matmul rate", flops["imagined_step"] / step / rate
    yield "burn-in of one restart, GFLOP", flops["restart"] / 1e9
    state, paces = work.state, {}
    for name, program in build_programs(work.agent, config, work.mesh).items():
        program.compile(state, work.replay)
        yield f"{name} update, compilation, s", program.compile_seconds
        yield f"{name} update, temporaries, GB", program.temporary_bytes / 1e9
        state, paces[name] = timed_updates(program, state, work)
        yield f"{name} update, ms", paces[name] * 1e3
        yield f"{name} update, GFLOP", flops[name] / 1e9
        yield f"{name} update, share of the matmul rate", flops[name] / paces[name] / rate
    yield "whole run at these rates, h", run_hours(config, paces)
    if peak := peak_memory().get("device_peak_bytes"):
        yield "peak, GB", peak / 1e9


def timed_updates(program: UpdateProgram, state: TrainState, work: Workload) -> tuple[TrainState, float]:
    """Returns the state after the updates, and the median seconds per update."""
    for warm_up in range(2):
        for dispatch in program.run(state, work.replay, 1 + warm_up):
            state = dispatch.state
    times = []
    length = max(1, round(1.0 / program.pace.seconds_per_update))
    for _ in range(REPEATS.value):
        for dispatch in program.run(state, work.replay, length):
            state = dispatch.state
            times.append(dispatch.seconds / dispatch.num_updates)
    return state, statistics.median(times)


def imagined_step(work: Workload) -> float:
    """Median seconds of one step of all imagined environments, none of which restarts."""
    c, model, shape, mesh = work.config, work.agent.world_model, work.config.frame_shape, work.mesh
    batch, weights = c.actor_critic.training.batch_size, c.actor_critic.training.sample_weights
    own = batch // mesh.size

    def begin(replay: Replay, key: jax.Array) -> Segment:
        return sample_starts(replay, jax.random.fold_in(key, jax.lax.axis_index(AXIS)), shape, own, c.context, weights)

    def step(params: Params, state: ImaginationState, start: Segment, key: jax.Array) -> ImaginationState:
        draws = imagination.draw_step(key, shape, own, c.world_model_env)
        draws = draws._replace(end=draws.end.at[:, 1].set(-1e9))
        return imagination.step(params, model, state, start.actions[:, -1], draws, start, c.world_model_env)[0]

    key = jax.random.key(0)
    specs = replay_spec(len(work.replay.actions), mesh), P()
    start = lift(begin, mesh, specs, P(AXIS), donate=())(work.replay, key)
    step = lift(step, mesh, (P(), P(AXIS), P(AXIS), P()), P(AXIS), donate=())
    state = ImaginationState(start.frames, model.init_memory(batch), jnp.zeros(batch, jnp.int32))
    state = jax.device_put(state, shardings(mesh, P(AXIS), state))
    return median_seconds(lambda: step(work.state.world_model.params, state, start, key), REPEATS.value)


def run_hours(config: Config, seconds_per_update: dict[str, float]) -> float:
    """Hours that the schedule's updates take at the measured pace; leaves out collection, tests and saving."""
    c = config.collection
    first = Progress(epoch=1, env_steps=c.first_epoch.min + c.steps_per_epoch)
    seconds = seconds_left(config, first, seconds_per_update)
    for name, pace in seconds_per_update.items():
        seconds += pace * getattr(config, name).training.steps_first_epoch
    return seconds / 3600


if __name__ == "__main__":
    command_line.run(main, CONFIG)
