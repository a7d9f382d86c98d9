"""Runs an entry point: parses the flags, and prints every error on one line."""

import contextlib
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags
from absl import logging as absl_logging
from tqdm import tqdm

from edeline_jax.runtime.errors import UserError, printable, refusal

HELP = ("-h", "--h", "-help", "--help")


def run(
    main: Callable[[Sequence[str]], None],
    config: flags.FlagHolder | None = None,
    more_help: Callable[[], str] = lambda: "",
) -> None:
    """Parses the flags and runs `main` with the remaining arguments.

    Args:
      main: takes argv without the flags.
      config: the config-file flag, if the program has one; a file that cannot be loaded is reported as a wrong flag.
      more_help: what `--help` says after the module's docstring and flags.
    """

    def parse(argv: Sequence[str]) -> list[str]:
        if any(word in HELP for word in argv[1:]):
            say(f"{_help(main)}{more_help()}")
            sys.exit(0)
        try:
            rest = flags.FLAGS(argv)
            if config is not None and config.value is not None:
                config.value.to_dict()  # ml_collections raises the error of a bad file only on its first use
            return rest
        except Exception as error:  # of the user's config file, which may raise anything
            sys.exit(f"error: {printable(_mistake(error, argv))}")

    def guarded(argv: Sequence[str]) -> None:
        _quieten_libraries()
        try:
            main(argv)
        except UserError as error:
            give_up(str(error))
        except OSError as error:
            give_up(refusal(error) if error.filename is None else f"{error.filename}: {refusal(error)}")

    _open_standard_files()
    app.run(guarded, flags_parser=parse)


def say(text: str) -> None:
    """Prints lines, above a progress bar; goes on in silence once nobody reads them any more, as behind `| head -1`."""
    try:
        tqdm.write("\n".join(printable(line) for line in text.splitlines()))
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def warn(line: str) -> None:
    """Prints a warning, if somebody reads it."""
    with contextlib.suppress(OSError):
        print(f"warning: {printable(line)}", file=sys.stderr, flush=True)


def give_up(reason: str) -> None:
    """Prints one line and exits with status 1, without a teardown: Orbax's abandoned writes would print errors."""
    try:
        print(f"error: {printable(reason)}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(1)


def _open_standard_files() -> None:
    """Gives standard files that were closed to /dev/null, or the first file that a run opens would get their output."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115 (as long as the process)


def _help(main: Callable) -> str:
    module = sys.modules[main.__module__]
    lines = [module.__doc__.strip(), "", "Flags:"]
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        default = "" if flag.default in (None, "", [], False) else f" (default: {flag.default})"
        lines.append(f"  --{flag.name}: {flag.help}{default}")
    return "\n".join(lines) + "\n"


def _quieten_libraries() -> None:
    """Hides the logs of JAX, XLA and Orbax, whose failures reach us as exceptions anyway; one line for each warning."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's
    absl_logging.set_verbosity(absl_logging.FATAL)
    logging.getLogger("edeline_jax").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # Orbax's other reads and writes when one has failed
    warnings.showwarning = lambda message, *place: warn(" ".join(str(message).split()))
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")  # harmless: it compiles
    default = sys.unraisablehook

    def hook(unraisable: Any) -> None:  # those reads and writes, finishing after their event loop has closed
        if str(unraisable.exc_value) != "Event loop is closed":
            default(unraisable)

    sys.unraisablehook = hook


def _mistake(error: Exception, argv: Sequence[str]) -> str:
    """The last line of the error: an error inside a config file carries a traceback, whose last line says the cause."""
    text = str(error.args[0] if error.args else error).replace("\\n", "\n")
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    file = next((word.split("=", 1)[1] for word in argv if word.startswith(("--config=", "-config="))), "")
    if isinstance(error, SyntaxError):
        return f"--config={file}: line {error.lineno}: {error.msg}"
    if "get_config" in lines[-1]:
        return f"--config={file}: the file has no function get_config"
    own = file and any(
        frame.filename.endswith(file.split(":")[0]) for frame in traceback.extract_tb(error.__traceback__)
    )
    if own and not isinstance(error, UserError):
        return f"--config={file}: {type(error).__name__}: {lines[-1]}"
    element = next((word for word in argv if re.match(r"--?config\.[^=]*\[", word)), None)
    if element is not None:
        whole = element.lstrip("-").split("[")[0]
        return f"{element}: an element cannot be set alone; set the whole --{whole}, a list as '(16, 32)'"
    if isinstance(error, (AttributeError, KeyError)):
        return "unknown key in an override: " + lines[-1].strip("'\"")
    return re.sub(r"\('(.*)', '.*'\)", r"\1", lines[-1])  # two arguments of an error, printed as they are
