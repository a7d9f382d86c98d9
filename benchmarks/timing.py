"""Medians of repeated calls, and the rate against which they are held."""

import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp


def seconds(action: Callable[[], object]) -> float:
    """Of one call; what it returns is waited for."""
    begin = time.perf_counter()
    jax.block_until_ready(action())
    return time.perf_counter() - begin


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    """Of `repeats` calls after one that is not counted."""
    return statistics.median([seconds(action) for _ in range(repeats + 1)][1:])


def matmul_rate(dtype: str, repeats: int) -> float:
    """FLOP/s of a large matrix product, the most that this device was seen to do."""
    side = 2048 if jax.default_backend() == "cpu" else 8192
    x, product = jnp.ones((side, side), dtype), jax.jit(lambda x: x @ x)
    return 2 * side**3 / median_seconds(lambda: product(x), repeats)
