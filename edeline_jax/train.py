"""Trains an agent.

Usage: `python -m edeline_jax.train --config=configs/atari.py:breakout [--config.KEY=VALUE ...] [--workdir=DIR]`.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file("config", None, "configs/FILE.py[:SPEC]; keys as --config.KEY=VALUE.")
WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run; an existing run goes on. Default: outputs/DATE/TIME.")


def main(argv: Sequence[str]) -> None:
    """Runs or resumes one run, from the flags."""
    del argv
    import jax  # after the flags, so that a wrong one is refused at once

    logging.set_verbosity(logging.WARNING)  # JAX and Orbax tell every step of theirs otherwise
    if jax.config.jax_compilation_cache_dir is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edeline-jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))
    from edeline_jax.config import ConfigError, pour
    from edeline_jax.training.folder import open_workdir
    from edeline_jax.training.loop import NotFiniteError, Run
    from edeline_jax.training.summary import SUMMARY, finish

    try:
        config = pour(CONFIG.value, jax.device_count())
        workdir = open_workdir(WORKDIR.value, config)
        if (workdir / SUMMARY).exists():
            print(f"{workdir} holds a finished run: nothing to do")
            return
        run = Run(config, workdir, say=lambda line: print(line, flush=True))
        run.introduce()
        run.train()
        finish(run)
        run.close()
    except (ConfigError, NotFiniteError) as error:
        sys.exit(f"error: {error}")


def parse_flags(argv: Sequence[str]) -> list[str]:
    """absl's parsing, with every complaint on one line."""
    try:
        rest = flags.FLAGS(argv)
        flags.mark_flag_as_required("config")
        if CONFIG.value is None:
            raise flags.IllegalFlagValueError(
                "--config is missing: give a file, such as --config=configs/atari.py:breakout"
            )
        CONFIG.value.to_dict()  # a file that could not be loaded only says so when it is used
        return rest
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError, ImportError) as error:
        # a mistake inside of a config file comes with its traceback; the last line says what is wrong
        text = str(error.args[0] if error.args else error).replace("\\n", "\n")
        prefix = "unknown key in an override: " if isinstance(error, (AttributeError, KeyError)) else ""
        sys.exit(f"error: {prefix}{[line.strip() for line in text.splitlines() if line.strip()][-1]}")


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
