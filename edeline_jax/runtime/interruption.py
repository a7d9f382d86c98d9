"""SIGTERM and SIGINT: the first asks the run to save and end, the second ends it at once."""

import os
import signal
import threading

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):
    """Raised between two dispatches, when the state is whole, once somebody asked the run to end."""


class Interruption:
    """Listens in a thread, since the main thread hears no signal while it compiles or waits for a device."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._requested.is_set()

    def listen(self) -> None:
        """Takes the signals of this process; call it from the main thread."""
        receiver, sender = os.pipe()
        os.set_blocking(sender, False)
        signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)  # keeps Python from ending or raising; the pipe gets the number
        threading.Thread(target=self._hear, args=(receiver,), daemon=True).start()

    def _hear(self, receiver: int) -> None:
        while number := os.read(receiver, 1):
            if self.requested:
                os._exit(128 + number[0])
            self._requested.set()
            os.write(2, b"stopping: saving as soon as the running dispatch ends; a second signal stops at once\n")
