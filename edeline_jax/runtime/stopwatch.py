"""Where the time of an epoch goes."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator


class Stopwatch:
    """Seconds by phase since the last lap; what was in no phase is `other`."""

    def __init__(self) -> None:
        self._begin, self._phases = time.perf_counter(), Counter[str]()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts what happens inside; phases do not nest."""
        begin = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - begin)

    def add(self, name: str, seconds: float) -> None:
        """Counts seconds that somebody else has measured."""
        self._phases[name] += seconds

    def lap(self) -> dict[str, float]:
        """The seconds, which begin again from zero."""
        now = time.perf_counter()
        total, phases = now - self._begin, dict(self._phases)
        self._begin, self._phases = now, Counter()
        return {**phases, "other": total - sum(phases.values())}
