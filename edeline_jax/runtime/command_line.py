"""Runs an entry point: parses the flags, and prints every error on one line."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags
from absl import logging as absl_logging

from edeline_jax.runtime.errors import UserError


def run(main: Callable[[Sequence[str]], None], config: flags.FlagHolder | None = None) -> None:
    """Parses the flags and runs `main` with the remaining arguments.

    Args:
      main: takes argv without the flags.
      config: the config-file flag, if the program has one; a file that cannot be loaded is reported as a wrong flag.
    """

    def parse(argv: Sequence[str]) -> list[str]:
        try:
            rest = flags.FLAGS(argv)
            if config is not None and config.value is not None:
                config.value.to_dict()  # ml_collections raises the error of a bad file only on its first use
            return rest
        except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError, ImportError) as error:
            sys.exit(f"error: {_mistake(error)}")

    def guarded(argv: Sequence[str]) -> None:
        _quieten_libraries()
        try:
            main(argv)
        except UserError as error:
            give_up(str(error))

    app.run(guarded, flags_parser=parse)


def give_up(reason: str) -> None:
    """Prints one line and exits with status 1, without a teardown: Orbax's abandoned writes would print errors."""
    print(f"error: {reason}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _quieten_libraries() -> None:
    """Hides the logs of JAX and Orbax: they report every step, and their failures reach us as exceptions anyway."""
    absl_logging.set_verbosity(absl_logging.FATAL)
    logging.getLogger("edeline_jax").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # Orbax's other reads and writes when one has failed
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")  # harmless: it compiles
    default = sys.unraisablehook

    def hook(unraisable: Any) -> None:  # those reads and writes, finishing after their event loop has closed
        if str(unraisable.exc_value) != "Event loop is closed":
            default(unraisable)

    sys.unraisablehook = hook


def _mistake(error: Exception) -> str:
    """The last line of the error: an error inside a config file carries a traceback, whose last line says the cause."""
    text = str(error.args[0] if error.args else error).replace("\\n", "\n")
    prefix = "unknown key in an override: " if isinstance(error, (AttributeError, KeyError)) else ""
    return prefix + [line.strip() for line in text.splitlines() if line.strip()][-1]
