"""SIGTERM and SIGINT: the first signal asks the run to save and end, the second ends it at once."""

import os
import signal
import threading

SIGNALS = (signal.SIGTERM, signal.SIGINT)


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
            signal.signal(number, lambda *_: None)  # replaces Python's default; the number goes to the pipe
        threading.Thread(target=self._hear, args=(receiver,), daemon=True).start()

    def _hear(self, receiver: int) -> None:
        while number := os.read(receiver, 1):
            if self.requested:
                os._exit(128 + number[0])
            self._requested.set()
            os.write(2, b"stopping: saving as soon as the running dispatch ends; a second signal stops at once\n")
