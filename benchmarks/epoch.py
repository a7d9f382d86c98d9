"""Measures how the time of one epoch is spent: `python -m benchmarks.epoch [--config=...] [--batch=4] [--updates=2]`.

Runs the real loop in a temporary folder: a first epoch to compile and warm up, then a measured one. If `updates` is
smaller than the config's number, the measured epoch runs that many updates of each network, and the last column scales
their time up to the config's number; the other phases do not depend on it.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags

from benchmarks.workload import resized
from edeline_jax.config import Config, pour, to_dict
from edeline_jax.report.runs import read_lines
from edeline_jax.runtime import command_line
from edeline_jax.runtime.interruption import Interruption
from edeline_jax.training.run import Run
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.opening import Workdir

CONFIG = config_flags.DEFINE_config_file("config", "configs/atari.py:breakout", "What to time.")
BATCH = flags.DEFINE_integer("batch", 0, "Segments, and imagined environments; 0: the config's.", lower_bound=0)
UPDATES = flags.DEFINE_integer("updates", 0, "Updates of each network per epoch; 0: the config's.", lower_bound=0)
NETWORKS = ("world_model", "actor_critic")


def main(argv: Sequence[str]) -> None:
    """Prints the seconds and share of each phase of the second epoch."""
    del argv
    config = pour(CONFIG.value)
    paper = pour(to_dict(resized(config, BATCH.value, config.agent.compute_dtype)), jax.device_count())
    with tempfile.TemporaryDirectory() as folder:
        run = Run(two_epochs(paper), Workdir(Path(folder), None), Interruption(), say=lambda line: None)
        run.train()
        run.close()
        rows = read_lines(RunFolder(Path(folder)).metrics)
    seconds = {
        k.removeprefix("seconds/"): v for row in rows if row["epoch"] == 2 for k, v in row.items() if "seconds/" in k
    }
    whole = dict(seconds)
    for name in NETWORKS:
        schedule = getattr(paper, name).training
        whole[name] *= schedule.steps_per_epoch / (UPDATES.value or schedule.steps_per_epoch)
    print(f"| phase | measured, s | share | share at {schedule.steps_per_epoch} updates each |\n|---|---|---|---|")
    for name in sorted(seconds, key=whole.get, reverse=True):
        shares = seconds[name] / sum(seconds.values()), whole[name] / sum(whole.values())
        print(f"| {name} | {seconds[name]:.2f} | {shares[0]:.2%} | {shares[1]:.2%} |")
    inside = sum(whole[name] for name in NETWORKS) / sum(whole.values())
    print(f"inside the update programs: {inside:.2%}")


def two_epochs(config: Config) -> Config:
    """The config with two equal epochs, no final epochs and no tests between."""
    c = config.collection
    first = dataclasses.replace(c.first_epoch, min=1, max=1)
    collection = dataclasses.replace(c, first_epoch=first, num_steps_total=2 * c.steps_per_epoch)
    training = dataclasses.replace(config.training, num_final_epochs=0)
    evaluation = dataclasses.replace(config.evaluation, every=10**6)
    config = dataclasses.replace(config, collection=collection, training=training, evaluation=evaluation)
    for name in NETWORKS:
        part = getattr(config, name)
        n = UPDATES.value or part.training.steps_per_epoch
        schedule = dataclasses.replace(part.training, steps_first_epoch=n, steps_per_epoch=n)
        config = dataclasses.replace(config, **{name: dataclasses.replace(part, training=schedule)})
    return config


if __name__ == "__main__":
    command_line.run(main, CONFIG)
