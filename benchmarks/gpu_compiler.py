"""Compiles the update programs for an H100 or H200 without having one, and prints what they would launch.

    pip install "jax[cuda12]"          # in an environment of its own; Python 3.12, JAX 0.11 or newer
    JAX_PLATFORMS=cpu python -m benchmarks.gpu_compiler [--config=...] [--card=h200] [--batch=32] [--dtype=bfloat16]
        [--programs=denoiser,world_model,actor_critic] [--text=FOLDER]

JAX's CUDA plugin compiles for a described card on any Linux machine, without driver or card, in about three minutes of
processor time per update program. Counts one denoiser call as an imagined rollout makes it, and one update of each
network; restarts are left out. Each launch is projected to take what its bytes need at the card's bandwidth or its
FLOPs at the card's rate, whichever is longer, and 1.5 us on top; so kernels that leave multiprocessors idle look faster
than they are. Nothing is autotuned. Projections compare programs; what a real card takes is in benchmarks/RESULTS.md.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
from absl import flags
from jax.experimental import topologies
from ml_collections import config_flags

from benchmarks.gpu_kernels import Card, launches, projected
from benchmarks.programs import NUM_ACTIONS, compiled
from benchmarks.workload import resized
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.runtime import command_line
from edeline_jax.runtime.devices import make_mesh

CONFIG = config_flags.DEFINE_config_file("config", "configs/atari.py:breakout", "What to compile.")
DTYPE = flags.DEFINE_string("dtype", "bfloat16", "Compute dtype.")
BATCH = flags.DEFINE_integer("batch", 0, "Batch of both networks; 0: the config's.", lower_bound=0)
CARD = flags.DEFINE_enum("card", "h200", ["h100", "h200"], "The card.")
PROGRAMS = flags.DEFINE_list("programs", ["denoiser", "world_model", "actor_critic"], "What to compile.")
TEXT = flags.DEFINE_string("text", "", "Folder for the compiled programs' HLO text.")
# bytes/s of a copy (H100: measured), FLOP/s of convolutions in bfloat16 (assumed)
CARDS = {"h100": Card(2.5e12, 450e12), "h200": Card(4.0e12, 450e12)}


def main(argv: Sequence[str]) -> None:
    """Prints a table with a line per program."""
    del argv
    description = Path(__file__).with_name(f"{CARD.value}.txtpb").read_text()
    topology = topologies.get_topology_desc(platform="cuda", target_config=description, topology="1x1x1")
    mesh = make_mesh(topology.devices[:1])
    config = resized(pour(CONFIG.value, mesh.size), BATCH.value, DTYPE.value)
    agent = build_agent(config, NUM_ACTIONS)
    print(f"{CARD.value}, {DTYPE.value}, JAX {jax.__version__}")
    for number, name in enumerate(PROGRAMS.value):
        program = compiled(name, agent, config, mesh)
        text = program.as_text()
        if TEXT.value:
            (Path(TEXT.value) / f"{name}.hlo").write_text(text)
        memory = program.memory_analysis().temp_size_in_bytes
        figures = projected(launches(text), CARDS[CARD.value]) | {"temporaries, GB": memory / 1e9}
        if number == 0:
            print(f"| program | {' | '.join(figures)} |\n|---|{'---|' * len(figures)}")
        print(f"| {name} | {' | '.join(map(shown, figures.values()))} |", flush=True)


def shown(figure: float) -> str:
    """Three digits, or all of a large number."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


if __name__ == "__main__":
    command_line.run(main, CONFIG)
