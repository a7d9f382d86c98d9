"""What the entry points share: flags, and every complaint on one line."""

import logging
import sys
from collections.abc import Callable, Sequence

from absl import app, flags
from absl import logging as absl_logging

from edeline_jax.errors import UserError


def run(main: Callable[[Sequence[str]], None], check_flags: Callable[[], None] = lambda: None) -> None:
    """Parses the flags and runs `main` with what is left of the command line.

    Args:
      main: takes argv without the flags.
      check_flags: looks at the parsed flags; its errors are those of a mistaken flag.
    """

    def parse(argv: Sequence[str]) -> list[str]:
        try:
            rest = flags.FLAGS(argv)
            check_flags()
            return rest
        except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError, ImportError) as error:
            sys.exit(f"error: {_mistake(error)}")

    def guarded(argv: Sequence[str]) -> None:
        absl_logging.set_verbosity(absl_logging.FATAL)  # JAX and Orbax tell every step; what fails they raise
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # reads beside one that failed, in Orbax
        logging.getLogger("edeline_jax").setLevel(logging.WARNING)
        try:
            main(argv)
        except UserError as error:
            sys.exit(f"error: {error}")

    app.run(guarded, flags_parser=parse)


def _mistake(error: Exception) -> str:
    """The last line: a mistake inside of a config file comes with its traceback, which ends with what is wrong."""
    text = str(error.args[0] if error.args else error).replace("\\n", "\n")
    prefix = "unknown key in an override: " if isinstance(error, (AttributeError, KeyError)) else ""
    return prefix + [line.strip() for line in text.splitlines() if line.strip()][-1]
