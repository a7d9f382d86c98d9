"""Times repeated calls, and measures the device's matrix product rate to compare with."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import jax


class Comparison(NamedTuple):
    """Median seconds of two things, and the median ratio of the first to the second, taken round by round."""

    first: float
    second: float
    ratio: float


def seconds(action: Callable[[], object]) -> float:
    """Seconds of one call, including the wait for its result."""
    begin = time.perf_counter()
    jax.block_until_ready(action())
    return time.perf_counter() - begin


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    """Median seconds of `repeats` calls, after one that is not counted."""
    return statistics.median([seconds(action) for _ in range(repeats + 1)][1:])


def compare(first: Callable[[], float], second: Callable[[], float], rounds: int) -> Comparison:
    """Times two things in turn, so that what else the machine does slows both; the first round is not counted.

    Each call returns its seconds.
    """
    pairs = [(first(), second()) for _ in range(rounds + 1)][1:]
    columns = *zip(*pairs, strict=True), [a / b for a, b in pairs]
    return Comparison(*map(statistics.median, columns))


def matmul_rate(dtype: str, repeats: int) -> float:
    """FLOP/s of a large matrix product, a practical upper bound for this device."""
    side = 2048 if jax.default_backend() == "cpu" else 8192
    x = jax.random.normal(jax.random.key(0), (side, side), dtype)  # a GPU is faster, and cooler, with equal numbers
    product = jax.jit(lambda x: x @ x)
    return 2 * side**3 / median_seconds(lambda: product(x), repeats)
