"""Times repeated calls, and measures the device's matrix product rate to compare with."""

import statistics
import time
from collections.abc import Callable

import jax


def seconds(action: Callable[[], object]) -> float:
    """Seconds of one call, including the wait for its result."""
    begin = time.perf_counter()
    jax.block_until_ready(action())
    return time.perf_counter() - begin


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    """Median seconds of `repeats` calls, after one that is not counted."""
    return statistics.median([seconds(action) for _ in range(repeats + 1)][1:])


def matmul_rate(dtype: str, repeats: int) -> float:
    """FLOP/s of a large matrix product, a practical upper bound for this device."""
    side = 2048 if jax.default_backend() == "cpu" else 8192
    x = jax.random.normal(jax.random.key(0), (side, side), dtype)  # a GPU is faster, and cooler, with equal numbers
    product = jax.jit(lambda x: x @ x)
    return 2 * side**3 / median_seconds(lambda: product(x), repeats)
