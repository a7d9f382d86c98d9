"""Trains an agent.

Usage: `python -m edeline_jax.train --config=configs/atari.py:breakout [--config.KEY=VALUE ...] [--workdir=DIR]`.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from edeline_jax import command_line
from edeline_jax.errors import UserError

CONFIG = config_flags.DEFINE_config_file("config", None, "configs/FILE.py[:SPEC]; keys as --config.KEY=VALUE.")
WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run; an existing run goes on. Default: outputs/DATE/TIME.")
ALLOW = flags.DEFINE_list("allow_config_change", [], "Keys (config.KEY) that may differ from those of the run.")

PROFILE = flags.DEFINE_bool("profile", False, "Leaves a jax.profiler trace of a few updates in the run's folder.")


def main(argv: Sequence[str]) -> None:
    """Runs or resumes one run, from the flags."""
    del argv
    if CONFIG.value is None:
        raise UserError("--config is missing: give a file, such as --config=configs/atari.py:breakout")
    import jax  # after the flags, so that a wrong one is refused at once

    if jax.config.jax_compilation_cache_dir is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edeline-jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))
    from edeline_jax.config import pour
    from edeline_jax.training.folder import open_workdir
    from edeline_jax.training.interruption import Interrupted, Interruption
    from edeline_jax.training.loop import Run
    from edeline_jax.training.summary import finish, is_finished

    interruption = Interruption()
    interruption.listen()
    config = pour(CONFIG.value, jax.device_count())
    workdir = open_workdir(WORKDIR.value, config, ALLOW.value, say)
    if is_finished(workdir.path, config):
        say(f"{workdir.path} holds a finished run: nothing to do")
        return
    run = Run(config, workdir.path, interruption, say, PROFILE.value)
    try:
        run.introduce()
        run.train()
        finish(run)
    except Interrupted:
        run.save()
        say(f"interrupted in epoch {run.progress.epoch}; the same command with --workdir={workdir.path} goes on")
    finally:
        run.close()


def say(line: str) -> None:
    """Prints a line at once, also where the output is a file."""
    print(line, flush=True)


if __name__ == "__main__":
    command_line.run(main, CONFIG)
