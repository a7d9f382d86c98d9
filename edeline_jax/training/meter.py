"""How far a part of an epoch is: a bar on a terminal, a line a minute in a log file."""

import time
from collections.abc import Callable, Mapping

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 60.0


class Meter:
    """Counts `total` units; see the module."""

    def __init__(self, description: str, total: int, unit: str, say: Callable[[str], None], is_main: bool):
        """Begins with 0.

        Args:
          say: prints the lines.
          is_main: whether this process is the one that shows anything.
        """
        self._description = description
        self._total = total
        self._unit = unit
        self._say = say
        # None: tqdm hides the bar unless the output is a terminal
        self._bar = tqdm(total=total, desc=description, unit=unit, leave=False, disable=None if is_main else True)
        self._count = 0
        self._begin = self._said = time.perf_counter()

    def to(self, count: int, losses: Mapping[str, float] | None = None) -> None:
        """Shows that `count` units are done, and the newest losses."""
        shown = {name: f"{value:.4g}" for name, value in (losses or {}).items()}
        new, self._count = count - self._count, count
        if not self._bar.disable:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(new)
        elif time.perf_counter() - self._said >= SECONDS_BETWEEN_LINES:
            self._said = time.perf_counter()
            self._say(self._line(shown))

    def add(self, count: int, losses: Mapping[str, float] | None = None) -> None:
        """Shows that `count` more units are done."""
        self.to(self._count + count, losses)

    @property
    def seconds_per_unit(self) -> float:
        """So far; 0 before the first unit."""
        return (time.perf_counter() - self._begin) / self._count if self._count else 0.0

    def close(self) -> None:
        """Takes the bar off the terminal."""
        self._bar.close()

    def _line(self, shown: Mapping[str, str]) -> str:
        seconds = self.seconds_per_unit
        rate = 1 / seconds if seconds else 0.0
        left = [f"{tqdm.format_interval((self._total - self._count) * seconds)} left"] if seconds else []
        parts = [f"{rate:.3g} {self._unit}s/s", *(f"{name} {value}" for name, value in shown.items()), *left]
        return f"{self._description}: {self._count:,} of {self._total:,}, {', '.join(parts)}"


def losses_of(scalars: Mapping[str, float]) -> dict[str, float]:
    """The losses among an update's metrics, by their short names."""
    return {name.removeprefix("loss_"): value for name, value in scalars.items() if name.startswith("loss_")}
