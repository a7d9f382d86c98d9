"""Keeps two processes from running in the same folder."""

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
    """A kernel lock: refuses a second process, and is released however the first one ends.

    On the file, which names its holder, and on the folder, where the disk allows that: the file may be deleted.
    """

    def __init__(self, folder: Path):
        self._file: TextIO = open(RunFolder(folder).lock, "a+")  # noqa: SIM115 (stays open as long as the lock is held)
        self._path = folder
        self._folder = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _lock_folder(self._folder)
        except BlockingIOError:
            os.close(self._folder)
            self._file.seek(0)
            raise UserError(
                f"{folder}: another process ({self._file.read().strip() or 'unknown'}) is at work there; "
                "wait for its end or choose another --workdir"
            ) from None
        self._file.truncate(0)
        self._file.write(_this_process())
        self._file.flush()
        os.fsync(self._file.fileno())  # so that the run's other hosts can read it on a shared disk

    def check(self) -> None:
        """Raises UserError if the folder is no longer the one that was locked: libraries would make a new one."""
        RunFolder(self._path).refuse_if_gone(self._folder)

    def release(self) -> None:
        """Lets others, also of this process, work in the folder."""
        self._file.close()
        os.close(self._folder)


class Claim:
    """Replaces the lock in a bucket, which has none: the newest start owns the run, older ones must end."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._owner = _this_process()
        RunFolder(folder).lock.write_text(self._owner)

    def check(self) -> None:
        """Raises UserError if another process has taken the folder over."""
        owner = owner_of(self._folder)
        if owner and owner != self._owner:
            raise UserError(
                f"{self._folder}: another process ({owner}) has taken the run over; this one ends, and what it did "
                "since its last checkpoint is not kept"
            )


def lock(folder: Path) -> FileLock | Claim:
    """Makes this process the folder's owner; raises UserError if another process holds the lock."""
    return Claim(folder) if in_bucket(folder) else FileLock(folder)


def _lock_folder(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # NFS locks only what is open for writing


def owner_of(folder: Path) -> str:
    """The name of the process that owns the folder; empty if it cannot be read."""
    try:
        return RunFolder(folder).lock.read_text()
    except OSError:
        return ""


def _this_process() -> str:
    """A name for this process; the random suffix is for equal process ids, in containers or after a restart."""
    return f"{os.getpid()} on {socket.gethostname()}, {secrets.token_hex(4)}"
