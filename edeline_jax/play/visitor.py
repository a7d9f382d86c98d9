"""One visitor, between the socket in the event loop and the session in the worker thread."""

import asyncio
import collections
from typing import NamedTuple

from edeline_jax.play.messages import Message
from edeline_jax.play.session import Picture, Session

MOST_UNSEEN = 3  # pictures under way: a slower page skips some, and none of them is old
MOST_ANSWERS = 64  # that wait; a page that takes none of them is gone
STALLED = 2.0  # s: nobody plays on for a page that has taken no picture for so long


class Farewell(NamedTuple):
    """Why the socket is closed: a code of RFC 6455, and words."""

    code: int
    reason: str


class Visitor:
    """Messages on their way to a session, and its answers on their way back.

    Attributes of the event loop:
      farewell: set once the visitor has to go.

    Attributes of the worker thread:
      session: made there.
      due: when its next step is, in seconds.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.inbox: collections.deque[Message | bytes] = collections.deque()  # thread-safe at both ends
        self.farewell: Farewell | None = None
        self.session: Session | None = None
        self.due = 0.0
        self._answers: collections.deque[bytes] = collections.deque()
        self._picture: Picture | None = None
        self._unseen = 0
        self._waits_since: float | None = None  # of the picture
        self._changed = asyncio.Event()

    def is_stalled(self, now: float) -> bool:
        """Whether the page has taken no picture for a while; may be asked from any thread."""
        since = self._waits_since
        return since is not None and now - since > STALLED

    def deliver(self, answer: bytes, now: float) -> None:
        """Puts an answer on its way; a picture takes the place of one that still waits."""
        if isinstance(answer, Picture):
            self._picture = answer
            self._waits_since = self._waits_since or now
        elif len(self._answers) < MOST_ANSWERS:
            self._answers.append(answer)
        else:
            self.dismiss(Farewell(1008, "the page takes no answers"))
        self._changed.set()

    def seen(self) -> None:
        """The page has drawn a picture."""
        self._unseen = max(0, self._unseen - 1)
        self._changed.set()

    def dismiss(self, farewell: Farewell) -> None:
        """Sends the visitor away; the first reason counts."""
        self.farewell = self.farewell or farewell
        self._changed.set()

    async def next(self) -> bytes | Farewell:
        """The next message for the page, answers first, or that there is none any more."""
        while True:
            if self.farewell is not None:
                return self.farewell
            if self._answers:
                return self._answers.popleft()
            if self._picture is not None and self._unseen < MOST_UNSEEN:
                picture, self._picture, self._waits_since = self._picture, None, None
                self._unseen += 1
                return picture
            self._changed.clear()
            await self._changed.wait()
