"""The roll call of a run's processes, played by threads."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from edeline_jax.runtime import roll_call
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.roll_call import call_roll


@pytest.fixture
def address() -> str:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_call, "SECONDS_OF_SILENCE", 0.2)


class Process(threading.Thread):
    """One that calls; `ended` says how: "here", or the error's line."""

    def __init__(self, address: str, number: int, count: int, seconds: float):
        super().__init__(daemon=True)
        self._arguments = address, number, count, seconds
        self.ended, self.warnings = "", []
        self.start()

    def run(self) -> None:
        try:
            call_roll(*self._arguments, self.warnings.append)
            self.ended = "here"
        except UserError as error:
            self.ended = str(error)


def processes(address: str, numbers: str, count: int, seconds: float = 20.0) -> Iterator[Process]:
    """Starts these in this order, and waits for them."""
    started = []
    for number in map(int, numbers):
        started.append(Process(address, number, count, seconds))
        time.sleep(0.05)
    for process in started:
        process.join(30)
        yield process


@pytest.mark.parametrize("order", ["0123", "3210"])
def test_all_go_on_once_all_are_here_and_the_port_is_free(address: str, order: str) -> None:
    assert [process.ended for process in processes(address, order, 4)] == ["here"] * 4
    with socket.socket() as server:
        server.bind(("", int(address.split(":")[1])))  # JAX's service comes next
        server.listen()


def test_who_is_missing_is_said_early_and_is_the_last_line_of_all(address: str) -> None:
    main, other = processes(address, "03", 4, seconds=1.0)
    missing = f"process 1, 2 of 4 has not come to {address}"
    assert main.warnings == [f"{missing}; waiting for 1 s at most"] and other.warnings == []
    assert main.ended.startswith(f"{missing}: start all") and other.ended == missing
    assert "\n" not in main.ended


def test_a_main_process_that_does_not_answer_is_named(address: str) -> None:
    (process,) = processes(address, "2", 3, seconds=0.6)
    assert process.ended.startswith(f"process 0 does not answer at {address}: ")
    assert process.warnings == [f"process 0 does not answer at {address}, says process 2; waiting for 1 s at most"]


def test_a_stranger_on_the_port_is_not_counted(address: str) -> None:
    main = Process(address, 0, 2, 20.0)
    time.sleep(0.2)
    for words in (b"GET / HTTP/1.1\n", b"\n", b""):
        with socket.create_connection(("localhost", int(address.split(":")[1]))) as stranger:
            stranger.sendall(words)
    assert main.is_alive()
    assert [process.ended for process in processes(address, "1", 2)] == ["here"]
    main.join(10)
    assert main.ended == "here"


def test_a_port_that_is_taken_is_one_line(address: str) -> None:
    with socket.create_server(("", int(address.split(":")[1]))):
        (main,) = processes(address, "0", 2)
    assert main.ended == f"process 0 cannot use the port of {address} (Address already in use): choose another"
