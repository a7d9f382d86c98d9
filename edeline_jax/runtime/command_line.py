"""What the entry points share: flags, and every complaint on one line."""

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
    """Parses the flags and runs `main` with what is left of the command line.

    Args:
      main: takes argv without the flags.
      config: the flag of a config file, where there is one; a file that cannot be loaded is a mistaken flag.
    """

    def parse(argv: Sequence[str]) -> list[str]:
        try:
            rest = flags.FLAGS(argv)
            if config is not None and config.value is not None:
                config.value.to_dict()  # a file that could not be loaded only says so when it is used
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
    """Ends the process with one line and status 1; a teardown would let Orbax's abandoned writes complain."""
    print(f"error: {reason}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _quieten_libraries() -> None:
    """JAX and Orbax tell every step, and what fails they raise; nothing else of theirs is for our users."""
    absl_logging.set_verbosity(absl_logging.FATAL)
    logging.getLogger("edeline_jax").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # Orbax's reads and writes beside one that failed
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")  # it compiles then
    default = sys.unraisablehook

    def hook(unraisable: Any) -> None:  # the same, answering when their event loop is gone
        if str(unraisable.exc_value) != "Event loop is closed":
            default(unraisable)

    sys.unraisablehook = hook


def _mistake(error: Exception) -> str:
    """The last line: a mistake inside of a config file comes with its traceback, which ends with what is wrong."""
    text = str(error.args[0] if error.args else error).replace("\\n", "\n")
    prefix = "unknown key in an override: " if isinstance(error, (AttributeError, KeyError)) else ""
    return prefix + [line.strip() for line in text.splitlines() if line.strip()][-1]
