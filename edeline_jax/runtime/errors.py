"""Errors that a user can fix."""

import errno

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # there is no room on the disk, or not for this user or file


class UserError(Exception):
    """A wrong input, or a failure of disk, memory or network; the one-line message says what is wrong and what to do.

    Entry points print it without a traceback and exit with 1.
    """


def one_line(error: BaseException) -> str:
    """The first line of an error's message, at most 300 characters; the type's name if the message is empty."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def shorten(text: str) -> str:
    """A value as error messages show it: on one line, at most 80 characters."""
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."


def refusal(error: OSError) -> str:
    """What the operating system refused, and what to do if there was no room."""
    return (error.strerror or one_line(error)) + ("; make room and try again" if error.errno in FULL else "")


def printable(text: str) -> str:
    """The text with control characters written out: names of files and keys come from anywhere."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class ConfigError(UserError, ValueError):
    """A config key is unknown, missing, of the wrong type, or contradicts another; the message is one line."""
