"""What a device does at best: copying, matrix products and the U-Net's convolutions, on random numbers.

    python -m benchmarks.ceilings [--batch=32] [--side=8192] [--gigabytes=2] [--repeats=10]

Prints each figure as soon as it is known. Products of float32 are measured as JAX computes them by default (TF32 on a
GPU) and at full precision.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from absl import flags

from benchmarks.timing import median_seconds
from edeline_jax.nn.convolution import plain_convolve
from edeline_jax.runtime import command_line

BATCH = flags.DEFINE_integer("batch", 32, "Images of a convolution.", lower_bound=1)
SIDE = flags.DEFINE_integer("side", 8192, "Of the matrices, and 64 times that of the images.", lower_bound=128)
GIGABYTES = flags.DEFINE_float("gigabytes", 2.0, "Of the array that is copied.", lower_bound=1e-3)
REPEATS = flags.DEFINE_integer("repeats", 10, "Timed calls of each program.", lower_bound=1)

KINDS = (("bfloat16", "default"), ("float32", "default"), ("float32", "highest"))  # dtype and precision
# (pixels of a side, channels in, channels out): the U-Net's levels, skips, first and last convolution; filled up to 8
CONVOLUTIONS = (
    (64, 64, 64),
    (64, 128, 64),
    (64, 15, 64),
    (64, 16, 64),
    (64, 64, 3),
    (64, 64, 8),
    (32, 64, 64),
    (8, 64, 64),
)
IN_A_ROW = 20  # calls in one timed program, to hide the start of it


def main(argv: Sequence[str]) -> None:
    """Prints a table with a line per figure."""
    del argv
    print(f"| {jax.devices()[0].device_kind}, JAX {jax.__version__} | | |\n|---|---|---|")
    x = jax.random.normal(jax.random.key(0), (int(GIGABYTES.value * 2**28),))
    show("copy", "GB/s", 2 * x.nbytes / 1e9, seconds(lambda x: x + 1, x))
    del x
    for dtype, precision in KINDS:
        with jax.default_matmul_precision(precision):
            side = SIDE.value
            x = jax.random.normal(jax.random.key(1), (side, side), dtype)
            show(f"matrix product, {dtype}, {precision}", "TFLOP/s", 2 * side**3 / 1e12, seconds(lambda x: x @ x, x))
            for shape in CONVOLUTIONS:
                show_convolution(dtype, precision, *shape)


def show_convolution(dtype: str, precision: str, pixels: int, channels_in: int, channels_out: int) -> None:
    """A 3x3 convolution of [batch, pixels, pixels, channels], several in a row."""
    pixels = max(1, pixels * SIDE.value // 8192)
    x = jax.random.normal(jax.random.key(2), (BATCH.value, pixels, pixels, channels_in), dtype)
    kernel = jax.random.normal(jax.random.key(3), (3, 3, channels_in, channels_out), dtype)

    def row(x: jax.Array, kernel: jax.Array) -> jax.Array:
        def once(total: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
            return total + plain_convolve(x + number, kernel, 1)[:, 0, 0, 0], None

        return jax.lax.scan(once, jnp.zeros(BATCH.value, dtype), jnp.arange(IN_A_ROW, dtype=dtype))[0]

    work = IN_A_ROW * 2 * 9 * BATCH.value * pixels**2 * channels_in * channels_out
    name = f"convolution {pixels}x{pixels}, {channels_in} -> {channels_out}, {dtype}, {precision}"
    show(name, "TFLOP/s", work / 1e12, seconds(row, x, kernel))


def seconds(function: Callable, *arguments: jax.Array) -> float:
    """Median seconds of the compiled function."""
    compiled = jax.jit(function)
    return median_seconds(lambda: compiled(*arguments), REPEATS.value)


def show(name: str, unit: str, amount: float, seconds: float) -> None:
    """Prints a rate and the time of one call."""
    print(f"| {name} | {amount / seconds:,.4g} {unit} | {seconds * 1e3:,.4g} ms |", flush=True)


if __name__ == "__main__":
    command_line.run(main)
