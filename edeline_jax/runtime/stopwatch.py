"""Measures how the time of an epoch is spent."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator


class Stopwatch:
    """Seconds by phase since the last lap; time outside every phase counts as `other`."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._phases = Counter[str]()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times the body of the `with` statement; phases do not nest."""
        begin = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - begin)

    def add(self, name: str, seconds: float) -> None:
        """Adds seconds that the caller measured."""
        self._phases[name] += seconds

    def lap(self) -> dict[str, float]:
        """Returns the seconds of each phase and starts again from zero."""
        now = time.perf_counter()
        total = now - self._begin
        phases = dict(self._phases)
        self._begin = now
        self._phases = Counter()
        return {**phases, "other": total - sum(phases.values())}
