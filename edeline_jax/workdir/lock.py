"""Who is at work in the folder of a run."""

import fcntl
import os
import secrets
import socket
from typing import TextIO

from etils.epath import Path

from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import in_bucket
from edeline_jax.workdir.folder import RunFolder


class FileLock:
    """The kernel's lock on a file: a second process is refused; let go when the first one ends, however it ends."""

    def __init__(self, folder: Path):
        self._file: TextIO = open(RunFolder(folder).lock, "a+")  # noqa: SIM115 (open as long as the lock is held)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            raise UserError(
                f"{folder}: another process ({self._file.read().strip() or 'unknown'}) is at work there; "
                "wait for its end or choose another --workdir"
            ) from None
        self._file.truncate(0)
        self._file.write(_this_process())
        self._file.flush()
        os.fsync(self._file.fileno())  # so that the other hosts of the run read it on a shared disk


class Claim:
    """What stands for a lock in a bucket, which has none: the newest start owns the run, older ones have to end."""

    def __init__(self, folder: Path):
        self._folder, self._owner = folder, _this_process()
        RunFolder(folder).lock.write_text(self._owner)

    def check(self) -> None:
        """Raises UserError where another process has begun to work there since."""
        owner = owner_of(self._folder)
        if owner and owner != self._owner:
            raise UserError(
                f"{self._folder}: another process ({owner}) has taken the run over; this one ends, and what it did "
                "since its last checkpoint is not kept"
            )


def lock(folder: Path) -> FileLock | Claim:
    """Makes this process the one at work in a folder; raises UserError where it cannot be."""
    return Claim(folder) if in_bucket(folder) else FileLock(folder)


def owner_of(folder: Path) -> str:
    """Who is at work there; nobody where the folder cannot be read."""
    try:
        return RunFolder(folder).lock.read_text()
    except OSError:
        return ""


def _this_process() -> str:
    """Names it; the last word tells it apart from one of the same number, in a container or after a restart."""
    return f"{os.getpid()} on {socket.gethostname()}, {secrets.token_hex(4)}"
