"""Times both updates on one CPU device and on one per core, in turn.

    JAX_PLATFORMS=cpu python -m benchmarks.cores [--config=configs/atari.py:breakout] [--batch=2] [--rounds=5]

XLA runs a convolution on one core, so a run makes one device per core, as many as divide its batches. A round is a
dispatch of about 5 s, at least one update, on each side. Prints medians, and the median of the rounds' ratios.
"""

import functools
from collections.abc import Sequence

import jax
from absl import flags
from ml_collections import config_flags

from benchmarks.timing import compare
from benchmarks.workload import prepare, resized
from edeline_jax.config import Config, pour
from edeline_jax.learning.programs import build_programs
from edeline_jax.runtime import command_line
from edeline_jax.runtime.devices import make_mesh, spread_over_cores

CONFIG = config_flags.DEFINE_config_file("config", "configs/atari.py:breakout", "What to time.")
BATCH = flags.DEFINE_integer("batch", 2, "Segments, and imagined environments; 0: the config's.", lower_bound=0)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Timed rounds.", lower_bound=1)

REPLAY_STEPS = 512
FOR_EVER = 10**9  # updates: a dispatch ends before


class Side:
    """The updates of a run on the first `num_devices` devices."""

    def __init__(self, config: Config, num_devices: int):
        work = prepare(config, REPLAY_STEPS, make_mesh(jax.devices()[:num_devices]))
        self._programs = build_programs(work.agent, work.config, work.mesh)
        self._state, self._replay = work.state, work.replay

    def pace(self, network: str) -> float:
        """Seconds per update of the next dispatch."""
        dispatch = next(self._programs[network].run(self._state, self._replay, FOR_EVER))
        self._state = dispatch.state
        return dispatch.seconds / dispatch.num_updates


def main(argv: Sequence[str]) -> None:
    """Prints a line per network."""
    del argv
    config = pour(CONFIG.value)
    config = resized(config, BATCH.value, config.agent.compute_dtype)
    spread_over_cores(config.divisible, None)
    one, every = Side(config, 1), Side(config, jax.device_count())
    print(f"| update | one device, ms | {jax.device_count()} devices, ms | ratio |\n|---|---|---|---|")
    for network in ("world_model", "actor_critic"):
        found = compare(*(functools.partial(side.pace, network) for side in (one, every)), ROUNDS.value)
        print(f"| {network} | {found.first * 1e3:.0f} | {found.second * 1e3:.0f} | {found.ratio:.2f} |", flush=True)


if __name__ == "__main__":
    command_line.run(main, CONFIG)
