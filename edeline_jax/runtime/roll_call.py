"""The roll call of a run's processes, before JAX joins them: JAX's own wait names nobody, and ends in an abort."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable

from edeline_jax.runtime.errors import UserError

SECONDS_OF_SILENCE = 45.0  # after which is said who is missing
SECONDS_FOR_A_WORD = 5.0
GREETING, ALL_HERE = "edeline-jax process", "all are here"


class _Wait:
    """The time of a wait, and what is said once while it lasts."""

    def __init__(self, seconds: float, warn: Callable[[str], None]):
        self._begin, self.seconds, self._warn = time.monotonic(), seconds, warn
        self._silent = True

    @property
    def left(self) -> float:
        return self._begin + self.seconds - time.monotonic()

    def complain(self, what: str) -> None:
        """Warns if it has been long enough."""
        if self._silent and self.seconds - self.left >= SECONDS_OF_SILENCE:
            self._warn(f"{what}; waiting for {self.seconds:.0f} s at most")
            self._silent = False


def call_roll(address: str, number: int, count: int, seconds: float, warn: Callable[[str], None]) -> None:
    """Returns once all processes of the run have called.

    Args:
      address: HOST:PORT of process 0. The port is free again afterwards, for JAX.
      number: of this process, of `count`.
      seconds: the longest wait.
      warn: called with a line if it takes long.

    Raises:
      UserError: in every process that came; names those that did not.
    """
    host, port = address.rsplit(":", 1)
    wait = _Wait(seconds, warn)
    if number == 0:
        _expect(int(port), address, count, wait)
    else:
        _report((host.strip("[]"), int(port)), address, number, wait)


def _expect(port: int, address: str, count: int, wait: _Wait) -> None:
    """Process 0: waits for the others, and tells them how it went."""
    with contextlib.ExitStack() as open_sockets:
        server = open_sockets.enter_context(_listen(port, address))
        server.settimeout(0.1)
        callers: dict[int, socket.socket] = {}
        while missing := set(range(1, count)) - set(callers):
            absent = f"process {', '.join(map(str, sorted(missing)))} of {count} has not come to {address}"
            wait.complain(absent)
            if wait.left <= 0:
                _tell(callers.values(), absent)
                raise UserError(f"{absent}: start all of them with the same command, and look at what they say")
            with contextlib.suppress(OSError, ValueError):
                caller = open_sockets.enter_context(server.accept()[0])
                caller.settimeout(SECONDS_FOR_A_WORD)
                callers[int(_hear(caller).removeprefix(GREETING))] = caller
        _tell(callers.values(), ALL_HERE)
        for caller in callers.values():  # who hangs up first keeps the port for a while: not this process
            with contextlib.suppress(OSError):
                caller.recv(1)


def _report(host: tuple[str, int], address: str, number: int, wait: _Wait) -> None:
    """Any other process: calls until process 0 answers."""
    while wait.left > 0:
        wait.complain(f"process 0 does not answer at {address}, says process {number}")
        with contextlib.suppress(OSError), socket.create_connection(host, SECONDS_FOR_A_WORD) as caller:
            caller.sendall(f"{GREETING} {number}\n".encode())
            caller.settimeout(wait.left + SECONDS_FOR_A_WORD)
            answer = _hear(caller)
            if answer == ALL_HERE:
                return
            if answer.startswith("process "):
                raise UserError(answer)
        time.sleep(0.1)
    raise UserError(f"process 0 does not answer at {address}: is it running, and can process {number} reach its host?")


def _listen(port: int, address: str) -> socket.socket:
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both)
    except OSError as error:
        raise UserError(
            f"process 0 cannot use the port of {address} ({os.strerror(error.errno)}): choose another"
        ) from error


def _tell(callers: Iterable[socket.socket], line: str) -> None:
    for caller in callers:
        with contextlib.suppress(OSError):
            caller.sendall(f"{line}\n".encode())


def _hear(caller: socket.socket) -> str:
    """The next line; empty if the other side has hung up."""
    with caller.makefile() as lines:
        return lines.readline().strip()
