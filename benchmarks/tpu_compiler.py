"""Compiles the update programs for TPUs without having one, and prints the compiler's figures.

    EDELINE_EXTRAS=test,tpu bash launch/environment.sh
    JAX_PLATFORMS=cpu python -m benchmarks.tpu_compiler [--config=...] [--topology=v5e:2x4] [--devices=1]
        [--batch=32] [--programs=denoiser,world_model,actor_critic]    (--config.env.num_envs=DEVICES splits the replay)

libtpu compiles for a described slice on any Linux machine. Prints its memory plan per device, XLA's FLOPs, the
collectives, and the cycles that the compiler estimates for one update and for one call of the denoiser, with inner
loops multiplied out and restarts left out. No TPU has confirmed these estimates. Compiling takes minutes.
"""

import os
from collections.abc import Sequence

import jax
from absl import flags
from jax.experimental import topologies
from ml_collections import config_flags

from benchmarks.hlo import Collective, collectives, update_cycles
from benchmarks.programs import NUM_ACTIONS, compiled
from benchmarks.workload import resized
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.runtime import command_line
from edeline_jax.runtime.devices import make_mesh

CONFIG = config_flags.DEFINE_config_file("config", "configs/atari.py:breakout", "What to compile.")
DTYPE = flags.DEFINE_string("dtype", "bfloat16", "Compute dtype.")
BATCH = flags.DEFINE_integer("batch", 0, "Global batch of both networks; 0: the config's.", lower_bound=0)
TOPOLOGY = flags.DEFINE_string("topology", "v5e:2x4", "A slice, in libtpu's words.")
DEVICES = flags.DEFINE_integer("devices", 1, "How many of its devices the program runs on.", lower_bound=1)
PROGRAMS = flags.DEFINE_list("programs", ["denoiser", "world_model", "actor_critic"], "What to compile.")
# Hz: peak FLOP/s over four (v4: eight) units of 128 x 128 multiply-adds
CLOCK = {"TPU v5 lite": 1.5e9, "TPU v4": 1.05e9}


def main(argv: Sequence[str]) -> None:
    """Prints a table with a line per program."""
    del argv
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # there is no metadata server to query
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # no process holds a chip
    devices = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGY.value).devices[: DEVICES.value]
    mesh = make_mesh(devices)
    config = resized(pour(CONFIG.value, mesh.size), BATCH.value, DTYPE.value)
    agent = build_agent(config, NUM_ACTIONS)
    print(f"{mesh.size} x {devices[0].device_kind}, {DTYPE.value}")
    print("| program | GFLOP | temporaries, GB | arguments, GB | cycles | ms | collectives |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in PROGRAMS.value:
        print(row(name, compiled(name, agent, config, mesh), devices[0].device_kind), flush=True)


def row(name: str, program: jax.stages.Compiled, device_kind: str) -> str:
    """One line of the table."""
    memory = program.memory_analysis()
    text = program.as_text()
    cycles = update_cycles(text)
    milliseconds = f"{cycles / CLOCK[device_kind] * 1e3:.2f}" if device_kind in CLOCK else ""
    sent = ", ".join(map(described, collectives(text))) or "none"
    return (
        f"| {name} | {program.cost_analysis()['flops'] / 1e9:,.1f} | {memory.temp_size_in_bytes / 1e9:.2f} | "
        f"{memory.argument_size_in_bytes / 1e9:.2f} | {cycles:,} | {milliseconds} | {sent} |"
    )


def described(sent: Collective) -> str:
    """A collective in words; one outside every loop happens once per dispatch."""
    return f"{sent.kind} of {sent.bytes:,} bytes{'' if sent.depth else ' per dispatch'}"


if __name__ == "__main__":
    command_line.run(main, CONFIG)
