"""Measures what several devices compute and send each other in an update, and how long the sending takes.

    JAX_PLATFORMS=cpu python -m benchmarks.scaling [--config=configs/atari.py:breakout] [--devices=1,2,4,8]
        [--batch_per_device=4] [--batch=32] [--timed_batch_per_device=1] [--repeats=3] [--json=FILE]

The update programs are compiled for virtual devices of this CPU. Weak scaling keeps the batch per device fixed, strong
scaling the global batch. All figures are per device. "GFLOP" is the work of an update with loops multiplied out
(`benchmarks.flops`): the device's share of the batch, and the optimizer, which every device repeats; "efficiency" is
computed from it. The "compiled" columns are XLA's own figures, which count the body of each loop once: one update, one
imagined step, one network call of the sampler, one block of a kernel gradient. Virtual devices share the CPU's cores,
so only ratios of times are meaningful.
"""

import functools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from ml_collections import config_flags

from benchmarks.flops import count, update_flops
from benchmarks.hlo import Collective, collectives
from benchmarks.timing import median_seconds
from benchmarks.workload import prepare, resized
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, pour
from edeline_jax.learning.optimizer import make_optimizer
from edeline_jax.learning.programs import build_programs
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import TrainState, state_shapes
from edeline_jax.learning.updates import apply_gradients
from edeline_jax.replay.buffer import Replay, init_replay
from edeline_jax.runtime import command_line
from edeline_jax.runtime.devices import AXIS, lift, make_mesh

CONFIG = config_flags.DEFINE_config_file("config", "configs/atari.py:breakout", "What to compile.")
DTYPE = flags.DEFINE_string("dtype", "float32", "Compute dtype.")
DEVICES = flags.DEFINE_list("devices", ["1", "2", "4", "8"], "Numbers of devices, the smallest first.")
WEAK = flags.DEFINE_integer("batch_per_device", 4, "Batch of each device, weak scaling; 0: left out.", lower_bound=0)
STRONG = flags.DEFINE_integer("batch", 32, "Global batch, strong scaling; 0: left out.", lower_bound=0)
TIMED = flags.DEFINE_integer("timed_batch_per_device", 1, "Batch of the timed updates; 0: left out.", lower_bound=0)
REPEATS = flags.DEFINE_integer("repeats", 3, "Timed updates of each program.", lower_bound=1)
JSON = flags.DEFINE_string("json", "", "File for the figures.")

NETWORKS = "world_model", "actor_critic"
NUM_ACTIONS = 4
REPLAY_STEPS = 256  # for timed updates
REDUCTIONS = 20  # in one timed call
COUNT_BYTES = 64  # smaller collectives sum counts, not gradients

Row = dict[str, Any]


class Analysis(NamedTuple):
    """XLA's figures for one compiled program, per device."""

    flops: float  # of an update, loops multiplied out
    compiled_flops: float  # of the compiled program, every loop body counted once
    bytes_accessed: float  # likewise
    temporaries: int  # bytes
    arguments: int  # bytes
    sent: list[Collective]


def main(argv: Sequence[str]) -> None:
    """Prints the tables, and writes them as JSON if asked to."""
    del argv
    counts = [int(count) for count in DEVICES.value]
    jax.config.update("jax_num_cpu_devices", max(counts))
    print(f"{jax.devices()[0].device_kind}, {len(jax.devices())} virtual devices, JAX {jax.__version__}, {DTYPE.value}")
    weak = {n: n * WEAK.value for n in counts if WEAK.value}
    strong = {n: STRONG.value for n in counts if STRONG.value and STRONG.value % n == 0}
    tables = {
        f"weak scaling, batch {WEAK.value} per device": scaling_rows(weak),
        f"strong scaling, global batch {STRONG.value}": scaling_rows(strong),
        "sent in an update": [row for n, batch in (weak or strong).items() for row in sent_rows(n, batch)],
    }
    for name, rows in tables.items():
        show(name, rows)
    if TIMED.value:
        rows = [row for n in counts for row in timed_rows(n, n * TIMED.value)]
        tables[f"time, batch {TIMED.value} per device"] = rows
        show(f"time, batch {TIMED.value} per device", rows)
    if JSON.value:
        Path(JSON.value).write_text(json.dumps(tables, indent=1) + "\n")


def show(name: str, rows: list[Row]) -> None:
    """Prints a markdown table."""
    if rows:
        print(f"\n{name}:\n\n| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
    for row in rows:
        cells = [f"{value:,.4g}" if isinstance(value, float) else str(value) for value in row.values()]
        print(f"| {' | '.join(cells)} |", flush=True)


def mesh_of(num_devices: int) -> Mesh:
    """A mesh of the first `num_devices` devices."""
    return make_mesh(jax.devices()[:num_devices])


def config_of(batch: int) -> Config:
    """The config with this global batch and the flag's compute dtype."""
    return resized(pour(CONFIG.value), batch, DTYPE.value)


@functools.cache
def analyses(num_devices: int, batch: int) -> dict[str, Analysis]:
    """Analyses both update programs for a global batch, compiled from shapes alone."""
    mesh = mesh_of(num_devices)
    config = config_of(batch)
    agent = build_agent(config, NUM_ACTIONS)
    steps = config.collection.num_steps_total // num_devices
    state = state_shapes(make_setup(agent, config))
    replay = jax.eval_shape(lambda: init_replay(num_devices, steps, 3 * config.env.size**2, num_devices))
    shared = update_flops(agent, config)
    repeated = {name: optimizer_flops(name, state, config) for name in NETWORKS}
    return {
        name: analysis(shared[name] / num_devices + repeated[name], program.lower(state, replay).compile())
        for name, program in build_programs(agent, config, mesh).items()
    }


def optimizer_flops(name: str, state: TrainState, config: Config) -> float:
    """FLOPs of one optimizer step, which every device computes for all parameters."""
    learner = getattr(state, name)
    optimizer = make_optimizer(getattr(config, name).optimizer)
    return count(lambda learner, grads: apply_gradients(learner, grads, optimizer), learner, learner.params)


def analysis(flops: float, compiled: jax.stages.Compiled) -> Analysis:
    cost = compiled.cost_analysis()
    memory = compiled.memory_analysis()
    return Analysis(
        flops,
        cost["flops"],
        cost["bytes accessed"],
        memory.temp_size_in_bytes,
        memory.argument_size_in_bytes,
        collectives(compiled.as_text()),
    )


def scaling_rows(batches: dict[int, int]) -> list[Row]:
    """A row for each program and number of devices."""
    return [scaling_row(name, n, batches) for name in NETWORKS for n in batches]


def scaling_row(name: str, n: int, batches: dict[int, int]) -> Row:
    """The figures of one device; efficiency is the work per sample on the fewest devices, divided by that on n."""
    first = min(batches)
    ours = analyses(n, batches[n])[name]
    samples = (batches[n] / n) / (batches[first] / first)  # per device, relative to the first; 1 in weak scaling
    return {
        "program": name,
        "devices": n,
        "batch": batches[n],
        "GFLOP": f"{ours.flops / 1e9:,.2f}",
        "efficiency": f"{samples * analyses(first, batches[first])[name].flops / ours.flops:.1%}",
        "compiled, GFLOP": f"{ours.compiled_flops / 1e9:,.2f}",
        "compiled, GB accessed": ours.bytes_accessed / 1e9,
        "temporaries, GB": ours.temporaries / 1e9,
        "arguments, GB": ours.arguments / 1e9,
    }


def sent_rows(num_devices: int, batch: int) -> list[Row]:
    """The collectives of each program; one row per kind and depth, with counts in separate rows."""
    rows = []
    for name, found in analyses(num_devices, batch).items():
        groups = sorted({(x.kind, x.depth, x.bytes < COUNT_BYTES) for x in found.sent})
        for group in groups:
            some = [x for x in found.sent if (x.kind, x.depth, x.bytes < COUNT_BYTES) == group]
            rows.append(
                {
                    "program": name,
                    "devices": num_devices,
                    "collective": group[0],
                    "loops around it": group[1],
                    "operations": len(some),
                    "arrays": sum(x.arrays for x in some),
                    "bytes": f"{sum(x.bytes for x in some):,}",
                }
            )
    return rows


def timed_rows(num_devices: int, batch: int) -> list[Row]:
    """Seconds of an update of each program, and of its collectives alone."""
    mesh = mesh_of(num_devices)
    work = prepare(config_of(batch), REPLAY_STEPS, mesh)
    state, replay = work.state, work.replay
    rows = []
    for name, program in build_programs(work.agent, work.config, mesh).items():
        compiled = program.lower(state, replay).compile()
        state, metrics, update = timed_updates(compiled, state, replay)
        tree = getattr(state, name).params, jax.tree.map(jnp.float32, metrics)
        counts = sum(x.bytes < COUNT_BYTES for x in collectives(compiled.as_text()))
        gradients = reduction_seconds(tree, mesh)
        count = reduction_seconds(jnp.zeros(()), mesh)
        rows.append(
            {
                "program": name,
                "devices": num_devices,
                "batch": batch,
                "update, s": update,
                "gradients and metrics, ms": gradients * 1e3,
                "counts": counts,
                "one count, ms": count * 1e3,
                "share of the update": f"{(gradients + counts * count) / update:.3%}",
            }
        )
    return rows


def timed_updates(
    compiled: jax.stages.Compiled, state: TrainState, replay: Replay
) -> tuple[TrainState, dict[str, np.ndarray], float]:
    """Returns the state after some updates, the last metrics, and the median seconds of one, without the first."""
    times = []
    for _ in range(1 + REPEATS.value):
        begin = time.perf_counter()
        state, metrics = compiled(state, replay, np.int32(1))
        metrics = jax.device_get(metrics)
        times.append(time.perf_counter() - begin)
    return state, metrics, median(times[1:])


def reduction_seconds(tree: Any, mesh: Mesh) -> float:
    """Seconds of one sum of a tree like this over the devices, from a call that makes many in sequence."""
    tree = jax.tree.map(jnp.zeros_like, tree)

    def many(tree: Any) -> Any:
        return jax.lax.fori_loop(0, REDUCTIONS, lambda _, x: jax.lax.psum(x, AXIS), tree)

    call = lift(many, mesh, P(), P(), donate=())
    return median_seconds(lambda: call(tree), REPEATS.value) / REDUCTIONS


if __name__ == "__main__":
    command_line.run(main, CONFIG)
