"""Measures time, memory and FLOPs of both updates and of an imagined step, and the device's matmul rate.

    python -m benchmarks.updates [--config=configs/atari.py:breakout] [--batch=4] [--dtypes=float32,bfloat16]
        [--repeats=5] [--json=FILE]

Each program is compiled as in a run and warmed up. A repeat is a dispatch of about a second (at least one update),
which ends when its metrics are on the host. Prints medians. FLOPs are XLA's (`benchmarks.flops`).
"""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from ml_collections import config_flags

from benchmarks.flops import update_flops
from benchmarks.timing import matmul_rate, median_seconds
from benchmarks.workload import Workload, prepare, resized
from edeline_jax.config import Config, pour
from edeline_jax.learning.programs import UpdateProgram, build_programs
from edeline_jax.learning.state import TrainState
from edeline_jax.replay.sampling import sample_starts
from edeline_jax.runtime import command_line
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.training.narration import seconds_left
from edeline_jax.workdir.progress import Progress
from edeline_jax.world_model import imagination

CONFIG = config_flags.DEFINE_config_file("config", "configs/atari.py:breakout", "What to time.")
BATCH = flags.DEFINE_integer("batch", 0, "Segments, and imagined environments; 0: the config's.", lower_bound=0)
DTYPES = flags.DEFINE_list("dtypes", ["float32", "bfloat16"], "Compute dtypes, one after the other.")
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed dispatches of each program.", lower_bound=1)
JSON = flags.DEFINE_string("json", "", "File for the figures.")

REPLAY_STEPS = 512


def main(argv: Sequence[str]) -> None:
    """Prints a table with a column per dtype, and writes the figures as JSON if asked to."""
    del argv
    results = {dtype: measure(resized(pour(CONFIG.value), BATCH.value, dtype)) for dtype in DTYPES.value}
    device = f"{jax.devices()[0].device_kind}, JAX {jax.__version__}"
    print(f"| {device} | {' | '.join(results)} |\n|---|{'---|' * len(results)}")
    for name in results[DTYPES.value[0]]:
        print(f"| {name} | {' | '.join(f'{figures[name]:,.4g}' for figures in results.values())} |")
    if JSON.value:
        Path(JSON.value).write_text(json.dumps({"device": device, **results}, indent=1) + "\n")


def measure(config: Config) -> dict[str, float]:
    """All figures of one config, by name with unit."""
    work = prepare(config, REPLAY_STEPS)
    rate = matmul_rate(config.agent.compute_dtype, REPEATS.value)
    flops = update_flops(work.agent, config)
    step = imagined_step(work)
    batch = config.actor_critic.training.batch_size
    figures = {
        "batch": config.world_model.training.batch_size,
        "matrix products, TFLOP/s": rate / 1e12,
        "environment frames/s": work.env_frames_per_second,
        "imagined step, ms": step * 1e3,
        "imagined frames/s": batch / step,
        "imagined step, GFLOP": flops["imagined_step"] / 1e9,
        "imagined step, share of the matmul rate": flops["imagined_step"] / step / rate,
    }
    state = work.state
    paces = {}
    for name, program in build_programs(work.agent, config, make_mesh()).items():
        state, paces[name] = timed_updates(program, state, work)
        figures |= {
            f"{name} update, ms": paces[name] * 1e3,
            f"{name} update, GFLOP": flops[name] / 1e9,
            f"{name} update, share of the matmul rate": flops[name] / paces[name] / rate,
            f"{name} update, compilation, s": program.compile_seconds,
            f"{name} update, temporaries, GB": program.temporary_bytes / 1e9,
        }
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return (
        figures | {"whole run at these rates, h": run_hours(config, paces)} | ({"peak, GB": peak / 1e9} if peak else {})
    )


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
    config = work.config
    model = work.agent.world_model
    batch = config.actor_critic.training.batch_size
    shape = config.frame_shape
    weights = config.actor_critic.training.sample_weights
    draw = jax.jit(lambda key: sample_starts(work.replay, key, shape, batch, config.context, weights))
    start = draw(jax.random.key(0))

    def step(params: dict, state: Any, key: jax.Array) -> Any:
        draws = imagination.draw_step(key, shape, batch, config.world_model_env)
        draws = draws._replace(end=draws.end.at[:, 1].set(-1e9))
        return imagination.step(params, model, state, start.actions[:, -1], draws, start, config.world_model_env)[0]

    params = work.state.world_model.params
    key = jax.random.key(0)
    step = jax.jit(step)
    state = imagination.ImaginationState(start.frames, model.init_cache(batch), jnp.zeros(batch, jnp.int32))
    return median_seconds(lambda: step(params, state, key), REPEATS.value)


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
