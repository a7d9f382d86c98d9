"""Sums up the kernels in a profile: `python -m benchmarks.kernels RUN/profile/NETWORK [LINES]`.

The profile is one that `python -m edeline_jax.train --profile` leaves. Of GPUs every kernel of every stream counts;
where there is none, what the threads of XLA's CPU did. Prints their number and time, and the names that took longest.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jax.profiler import ProfileData


class Kernel(NamedTuple):
    """All calls of one name."""

    name: str
    calls: int
    seconds: float


def kernels(folder: Path) -> list[Kernel]:
    """Those of the newest profile in a folder, the longest first.

    Raises:
      SystemExit: there is none.
    """
    files = sorted(folder.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise SystemExit(f"error: {folder} holds no profile (*.xplane.pb)")
    calls: dict[str, list[float]] = {}
    for name, seconds in _events(ProfileData.from_file(str(files[-1]))):
        calls.setdefault(name, []).append(seconds)
    return sorted((Kernel(name, len(x), sum(x)) for name, x in calls.items()), key=lambda kernel: -kernel.seconds)


def _events(profile: ProfileData) -> Iterator[tuple[str, float]]:
    """(name, seconds) of every kernel."""
    planes = list(profile.planes)
    gpus = [plane for plane in planes if "GPU" in plane.name]
    for plane in gpus or planes:
        for line in plane.lines:
            if ("Stream" if gpus else "XLA") in line.name:
                for event in line.events:
                    yield event.name, event.duration_ns / 1e9


def main() -> None:
    """Prints a table."""
    if len(sys.argv) not in (2, 3):
        raise SystemExit("usage: python -m benchmarks.kernels FOLDER [LINES]")
    found = kernels(Path(sys.argv[1]))
    lines = int(sys.argv[2]) if len(sys.argv) == 3 else 30
    calls, milliseconds = sum(x.calls for x in found), 1e3 * sum(x.seconds for x in found)
    print(f"{calls:,} calls of {len(found):,} kernels, {milliseconds:,.1f} ms")
    print("| kernel | calls | ms |\n|---|---|---|")
    for kernel in found[:lines]:
        print(f"| {kernel.name} | {kernel.calls:,} | {kernel.seconds * 1e3:,.3f} |")


if __name__ == "__main__":
    main()
