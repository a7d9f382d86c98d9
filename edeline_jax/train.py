"""Trains an agent.

Usage: `python -m edeline_jax.train --config=configs/atari.py:breakout [--config.KEY=VALUE ...] [--workdir=DIR]`.
The same command with the same --workdir resumes a run.
"""

import gc
from collections.abc import Sequence

from absl import flags

from edeline_jax.config.files import define_flag, load
from edeline_jax.config.listing import listing
from edeline_jax.runtime import command_line
from edeline_jax.runtime.compilation_cache import keep_programs
from edeline_jax.runtime.errors import UserError, shorten

CONFIG = define_flag("configs/FILE.py[:SPEC], or a name such as atari:breakout; keys as --config.KEY=VALUE.")
WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run; an existing run goes on. Default: outputs/DATE/TIME.")
ALLOW = flags.DEFINE_list("allow_config_change", [], "Keys (config.KEY) that may differ from those of the run.")
LIST = flags.DEFINE_bool("list", False, "Lists the environments and presets that a config can name, and ends.")
DISTRIBUTED = flags.DEFINE_enum("distributed", "auto", ("auto", "on", "off"), "Join the processes of a cluster.")
CPU_DEVICES = flags.DEFINE_integer(
    "cpu_devices", None, "CPU devices to spread the run over. Default: one per core, if batches allow.", lower_bound=1
)
DETERMINISTIC = flags.DEFINE_bool(
    "deterministic", False, "On a GPU: the same bits in every run, by slower programs (docs/running.md)."
)
PROFILE = flags.DEFINE_bool("profile", False, "Leaves a jax.profiler trace of a few updates in the run's folder.")


def more_help() -> str:
    """The keys of a config with their defaults, and where environments and presets are listed."""
    from edeline_jax.config import leaves

    keys = "\n".join(f"  --{key}={value}" for key, value in leaves(load("atari:breakout").to_dict()).items())
    return (
        "\n--list names the configs that come with edeline-jax, their environments and presets.\n"
        f"\nKeys, as configs/atari.py:breakout has them (their meaning stands there):\n{keys}\n"
    )


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
    if LIST.value:
        command_line.say("\n".join(listing()))
        return
    if CONFIG.value is None:
        raise UserError("--config is missing: give a file, such as --config=configs/atari.py:breakout")
    import jax  # after the flags are parsed, so that a wrong flag fails at once

    keep_programs()
    from edeline_jax.config import pour
    from edeline_jax.runtime import cluster, devices, xla_flags
    from edeline_jax.runtime.interruption import Interruption
    from edeline_jax.training import job
    from edeline_jax.workdir.opening import run_facts

    if DETERMINISTIC.value:
        xla_flags.compute_alike()
    cluster.join(DISTRIBUTED.value)
    interruption = Interruption()
    interruption.listen()
    devices.spread_over_cores(pour(CONFIG.value).divisible, CPU_DEVICES.value)
    devices.require()
    config = pour(CONFIG.value, jax.device_count(), jax.process_count())
    cluster.refuse_disagreement({**run_facts(config), "--deterministic": DETERMINISTIC.value})
    say = command_line.say if cluster.is_main() else lambda line: None
    if DETERMINISTIC.value and (kind := jax.default_backend()) != "gpu":
        say(f"--deterministic changes nothing: on a {kind} equal programs give equal bits without it")
    job.train(config, WORKDIR.value, ALLOW.value, interruption, say, PROFILE.value)


def cli() -> None:
    """The program with its flags."""
    command_line.run(main, CONFIG, more_help)


if __name__ == "__main__":
    cli()
