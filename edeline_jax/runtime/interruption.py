"""SIGTERM, SIGINT and SIGHUP: the first signal asks the run to save and end, a later one ends it at once."""

import contextlib
import os
import signal
import threading
import time

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SECONDS_APART = 2.0  # a wrapper and the terminal send the same signal twice
MESSAGE = b"stopping: saving as soon as the running dispatch ends; a signal in two seconds or later stops at once\n"


class Interrupted(Exception):
    """The run was asked to end; raised between two dispatches, when the state is consistent."""


class Interruption:
    """Listens in a thread: Python's handlers do not run while the main thread compiles or waits for a device."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._requested.is_set()

    def listen(self) -> None:
        """Installs the signal handlers; call it from the main thread."""
        receiver, sender = os.pipe()
        os.set_blocking(sender, False)
        signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started with nohup
            signal.signal(number, lambda *_: None)  # replaces Python's default; the number goes to the pipe
        threading.Thread(target=self._hear, args=(receiver,), daemon=True).start()

    def _hear(self, receiver: int) -> None:
        first = None
        while number := os.read(receiver, 1):
            if first is None:
                first = time.monotonic()
                self._requested.set()
                with contextlib.suppress(OSError):  # nobody may be listening there
                    os.write(2, MESSAGE)
            elif time.monotonic() - first >= SECONDS_APART:
                os._exit(128 + number[0])
