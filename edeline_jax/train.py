"""Trains an agent.

Usage: `python -m edeline_jax.train --config=configs/atari.py:breakout [--config.KEY=VALUE ...] [--workdir=DIR]`.
"""

import gc
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from edeline_jax.runtime import command_line
from edeline_jax.runtime.errors import UserError, shorten

CONFIG = config_flags.DEFINE_config_file("config", None, "configs/FILE.py[:SPEC]; keys as --config.KEY=VALUE.")
WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run; an existing run goes on. Default: outputs/DATE/TIME.")
ALLOW = flags.DEFINE_list("allow_config_change", [], "Keys (config.KEY) that may differ from those of the run.")

DISTRIBUTED = flags.DEFINE_enum("distributed", "auto", ("auto", "on", "off"), "Join the processes of a cluster.")
PROFILE = flags.DEFINE_bool("profile", False, "Leaves a jax.profiler trace of a few updates in the run's folder.")


def refuse_words(argv: Sequence[str]) -> None:
    """Raises UserError for words that are no flags: a forgotten `--` must not leave a run with other values."""
    if len(argv) > 1:
        word = argv[1].lstrip("-")
        is_flag = "=" in word and word.split("=")[0].split(".")[0] in flags.FLAGS
        meant = f"did you mean --{word}?" if is_flag else "flags begin with --, values follow a ="
        raise UserError(f"{shorten(argv[1])!r} is no flag: {meant}")


def main(argv: Sequence[str]) -> None:
    """Starts or resumes the run that the flags describe."""
    refuse_words(argv)
    gc.set_threshold(100_000)  # tracing makes millions of objects that stay: looking for garbage costs a quarter of it
    if CONFIG.value is None:
        raise UserError("--config is missing: give a file, such as --config=configs/atari.py:breakout")
    import jax  # after the flags are parsed, so that a wrong flag fails at once

    if jax.config.jax_compilation_cache_dir is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edeline-jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))
    from edeline_jax.config import pour
    from edeline_jax.runtime import cluster
    from edeline_jax.runtime.interruption import Interruption
    from edeline_jax.training import job
    from edeline_jax.workdir.opening import run_facts

    cluster.join(DISTRIBUTED.value)
    interruption = Interruption()
    interruption.listen()
    config = pour(CONFIG.value, jax.device_count())
    cluster.refuse_disagreement(run_facts(config))
    say = partial(print, flush=True) if cluster.is_main() else lambda line: None
    job.train(config, WORKDIR.value, ALLOW.value, interruption, say, PROFILE.value)


if __name__ == "__main__":
    command_line.run(main, CONFIG)
