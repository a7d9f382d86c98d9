"""2-D convolution in the form that suits the backend; chosen here and nowhere else.

GPU and TPU run XLA's own. On the CPU, XLA's own gradients of a convolution are ten times slower inside a loop than
outside (and every update program is a loop), so there they are written out: the input's as a plain convolution, the
kernel's as matrix products with shifted inputs.
"""

import functools

import jax
import jax.numpy as jnp


def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Convolves [B, H, W, in] with [k, k, in, out], k odd, `k // 2` zeros on every side.

    XLA's SAME would pad unevenly at stride 2. Result: [B, ceil(H / stride), ceil(W / stride), out].
    """
    if kernel.shape[0] == 1 and stride == 1:
        return x @ kernel[0, 0]
    return _cpu_convolve(x, kernel, stride) if jax.default_backend() == "cpu" else plain_convolve(x, kernel, stride)


def plain_convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """XLA's convolution, the definition of the others."""
    pad = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), ((pad, pad), (pad, pad)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _cpu_convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    return plain_convolve(x, kernel, stride)


def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return plain_convolve(x, kernel, stride), (x, kernel)


def _backward(stride: int, saved: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    dx = plain_convolve(_dilate(dy, stride, x.shape), kernel[::-1, ::-1].swapaxes(2, 3), 1)
    return dx, _kernel_gradient(x, dy, kernel.shape[0], stride)


_cpu_convolve.defvjp(_forward, _backward)


def _dilate(dy: jax.Array, stride: int, shape: tuple[int, ...]) -> jax.Array:
    """Undoes a stride, with zeros between.

    Spreads [B, H', W', C] over the pixels of an input of shape [B, H, W, ...] that it was strided over.
    """
    if stride == 1:
        return dy
    B, rows, columns, C = dy.shape
    spread = jnp.zeros((B, rows, stride, columns, stride, C), dy.dtype).at[:, :, 0, :, 0].set(dy)
    return spread.reshape(B, rows * stride, columns * stride, C)[:, : shape[1], : shape[2]]


def _kernel_gradient(x: jax.Array, dy: jax.Array, size: int, stride: int) -> jax.Array:
    """[size, size, in, out]: for each tap, what it sees at every output pixel, times dy.

    One tap after the other, since all of them side by side would take nine times the memory of the input.
    """
    B, _, _, C = x.shape
    pad = size // 2
    padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows, columns = (dy.shape[1] - 1) * stride + 1, (dy.shape[2] - 1) * stride + 1

    def tap(offset: jax.Array) -> jax.Array:
        window = jax.lax.dynamic_slice(padded, (0, offset // size, offset % size, 0), (B, rows, columns, C))
        return window[:, ::stride, ::stride].reshape(-1, C).T @ dy.reshape(-1, dy.shape[-1])

    return jax.lax.map(tap, jnp.arange(size**2)).reshape(size, size, C, -1)
