"""The one thread in which JAX and the games run, for all visitors in turn."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from edeline_jax.play.messages import Message, MessageError
from edeline_jax.play.session import Answer, Session
from edeline_jax.play.stage import Stage
from edeline_jax.play.visitor import Farewell, Visitor

_LOG = logging.getLogger(__name__)
NEVER = 3600.0  # s


class Worker:
    """Plays the sessions: whose step is due the longest comes first, so that nobody is left behind."""

    def __init__(self, stage: Stage, loop: asyncio.AbstractEventLoop):
        self._stage = stage
        self._loop = loop
        self._visitors: list[Visitor] = []
        self._leaving: list[Visitor] = []
        self._changed = threading.Condition()
        self._is_closing = False
        self._packer = ThreadPoolExecutor(1, "packer")  # makes films and datasets, which takes seconds
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self._thread.start()

    def enter(self, visitor: Visitor) -> None:
        """From now on the visitor's session is played."""
        with self._changed:
            self._visitors.append(visitor)
            self._changed.notify()

    def leave(self, visitor: Visitor) -> None:
        """Ends the visitor's session."""
        with self._changed:
            self._visitors.remove(visitor)
            self._leaving.append(visitor)
            self._changed.notify()

    def tell(self, visitor: Visitor, message: Message | bytes) -> None:
        """Passes on a message or an uploaded picture."""
        visitor.inbox.append(message)
        with self._changed:
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread and all sessions."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout=10)
        self._packer.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while (visitor := self._wait()) is not None:
            try:
                self._send(visitor, self._play(visitor))
            except MessageError as error:
                self._dismiss(visitor, Farewell(1008, str(error)))
            except Exception:
                _LOG.exception("a session has failed")
                self._dismiss(visitor, Farewell(1011, "an error of the program; its terminal says more"))
        for visitor in [*self._visitors, *self._leaving]:
            _end(visitor)

    def _wait(self) -> Visitor | None:
        """The next visitor with a message, or whose step is due; None if the thread shall end."""
        with self._changed:
            while not self._is_closing:
                while self._leaving:
                    _end(self._leaving.pop())
                awake = [visitor for visitor in self._visitors if visitor.farewell is None]
                told = next((visitor for visitor in awake if visitor.inbox), None)
                now = time.monotonic()
                due = min(awake, key=lambda visitor: visitor.due, default=None)
                if told is not None or (due is not None and due.due <= now):
                    return told or due
                self._changed.wait(NEVER if due is None else due.due - now)
            return None

    def _play(self, visitor: Visitor) -> list[Answer]:
        """Answers to the visitor's messages, or what the next step brings."""
        if visitor.session is None:
            visitor.session = Session(self._stage, visitor.seed)
            return [visitor.session.hello()]
        session, answers = visitor.session, []
        while visitor.inbox:
            message = visitor.inbox.popleft()
            answers += session.upload(message) if isinstance(message, bytes) else session.receive(message)
        now = time.monotonic()
        if visitor.due <= now:
            visitor.due = max(visitor.due + 1 / session.pace, now)
            if not visitor.is_stalled(now):
                answers += session.tick()
        return answers

    def _send(self, visitor: Visitor, answers: list[Answer]) -> None:
        for answer in answers:
            if isinstance(answer, bytes):
                self._call(visitor.deliver, answer, time.monotonic())
            else:
                future = self._packer.submit(answer)
                future.add_done_callback(lambda done: self._packed(visitor, done))

    def _packed(self, visitor: Visitor, done: Future[bytes]) -> None:
        if done.cancelled():
            return
        if done.exception() is not None:
            _LOG.error("a file could not be made", exc_info=done.exception())
            self._dismiss(visitor, Farewell(1011, "the file could not be made"))
        else:
            self._call(visitor.deliver, done.result(), time.monotonic())

    def _dismiss(self, visitor: Visitor, farewell: Farewell) -> None:
        self._call(visitor.dismiss, farewell)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends
            self._loop.call_soon_threadsafe(function, *arguments)


def _end(visitor: Visitor) -> None:
    if visitor.session is not None:
        visitor.session.close()
        visitor.session = None
