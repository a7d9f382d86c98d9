"""Errors that a user can mend."""


class UserError(Exception):
    """A mistake, or a machine that fell short; the message is one line that names the culprit and the remedy.

    Entry points print it without a traceback and exit with 1.
    """


def one_line(error: BaseException) -> str:
    """The first line of what an error says; its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def shorten(text: str) -> str:
    """A value in an error: on one line, and not long."""
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."


class ConfigError(UserError, ValueError):
    """A key that is unknown, missing, of the wrong type, or impossible beside another; the message is one line."""
