"""Times the gradients of one convolution, alone and inside a loop: `python -m benchmarks.convolution`."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks.timing import median_seconds
from edeline_jax.nn.convolution import convolve, plain_convolve

SHAPES = ((32, 20, 20, 16), (32, 64, 64, 64))  # [B, H, W, C]: Catch, and the paper's first level
REPEATS = 5


def gradients(form: Callable, x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gradients of the sum of squares of one convolution, with respect to input and kernel."""
    return jax.grad(lambda x, k: jnp.square(form(x, k, 1)).sum(), argnums=(0, 1))(x, kernel)


def main() -> None:
    """Prints milliseconds per pair of gradients in a table."""
    print("| shape | form | alone, ms | in a loop, ms |\n|---|---|---|---|")
    for shape in SHAPES:
        keys = jax.random.split(jax.random.key(0))
        x = jax.random.normal(keys[0], shape)
        kernel = jax.random.normal(keys[1], (3, 3, shape[-1], shape[-1]))
        for name, form in (("XLA's own", plain_convolve), ("written out", convolve)):

            def once(x: jax.Array, kernel: jax.Array, form: Callable = form) -> tuple:
                return gradients(form, x, kernel)

            def loop(x: jax.Array, kernel: jax.Array, steps: jax.Array, form: Callable = form) -> tuple:
                def body(_: int, carry: tuple) -> tuple:
                    return jax.tree.map(lambda g: 1e-3 * g, gradients(form, *carry))

                return jax.lax.fori_loop(0, steps, body, (x, kernel))

            alone = median_seconds(functools.partial(jax.jit(once), x, kernel), REPEATS)
            looped = median_seconds(functools.partial(jax.jit(loop), x, kernel, jnp.int32(3)), REPEATS) / 3
            print(f"| {list(shape)} | {name} | {alone * 1e3:.1f} | {looped * 1e3:.1f} |", flush=True)


if __name__ == "__main__":
    main()
