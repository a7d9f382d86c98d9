"""2-D convolution: XLA's own forward pass, and the gradients that are fastest on the backend.

GPU and TPU use XLA's own gradients. On the CPU those are far slower inside a loop than outside (and every update
program is a loop), so there the gradients are written out: the input's as a plain convolution, the kernel's as matrix
products with shifted inputs. On a GPU, channels are filled up with zeros to what its tensor cores take.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from edeline_jax.nn.restart import largest_divisor

PIXELS_PER_BLOCK = 1024
TENSOR_CORE_CHANNELS = 8  # a GPU's convolutions want multiples of it

Gradients = tuple[jax.Array, jax.Array]


def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Convolves [B, H, W, in] with [k, k, in, out], k odd, `k // 2` zeros on every side.

    XLA's SAME would pad unevenly at stride 2. Result: [B, ceil(H / stride), ceil(W / stride), out].
    """
    return x @ kernel[0, 0] if kernel.shape[0] == 1 and stride == 1 else _convolve(x, kernel, stride)


def plain_convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """XLA's convolution with XLA's gradients; defines what the written-out gradients must equal."""
    pad = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), ((pad, pad), (pad, pad)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def padded_convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`plain_convolve` with input and output channels filled up to multiples of `TENSOR_CORE_CHANNELS`."""
    channels_in, channels_out = (-n % TENSOR_CORE_CHANNELS for n in kernel.shape[2:])
    x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, channels_in)))
    filled = jnp.pad(kernel, ((0, 0), (0, 0), (0, channels_in), (0, channels_out)))
    return plain_convolve(x, filled, stride)[..., : kernel.shape[3]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    if not any(n % TENSOR_CORE_CHANNELS for n in kernel.shape[2:]):
        return plain_convolve(x, kernel, stride)
    padded, plain = (functools.partial(form, stride=stride) for form in (padded_convolve, plain_convolve))
    return jax.lax.platform_dependent(x, kernel, cuda=padded, default=plain)


def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve(x, kernel, stride), (x, kernel)


def _backward(stride: int, saved: tuple[jax.Array, jax.Array], dy: jax.Array) -> Gradients:
    written_out = functools.partial(_gradients, stride=stride)
    padded, plain = (functools.partial(_gradients_of, form, stride) for form in (padded_convolve, plain_convolve))
    return jax.lax.platform_dependent(*saved, dy, cpu=written_out, cuda=padded, default=plain)


_convolve.defvjp(_forward, _backward)


def _gradients_of(form: Callable, stride: int, x: jax.Array, kernel: jax.Array, dy: jax.Array) -> Gradients:
    """XLA's gradients of a form of the convolution."""
    return jax.vjp(functools.partial(form, stride=stride), x, kernel)[1](dy)


def _gradients(x: jax.Array, kernel: jax.Array, dy: jax.Array, stride: int) -> Gradients:
    dx = plain_convolve(_dilate(dy, stride, x.shape), kernel[::-1, ::-1].swapaxes(2, 3), 1)
    return dx, _kernel_gradient(x, dy, kernel.shape[0], stride)


def _dilate(dy: jax.Array, stride: int, shape: tuple[int, ...]) -> jax.Array:
    """Undoes a stride by putting zeros between the pixels: [B, H', W', C] -> [B, H, W, C].

    `shape` is that of the convolution's input, [B, H, W, ...].
    """
    if stride == 1:
        return dy
    B, rows, columns, C = dy.shape
    spread = jnp.zeros((B, rows, stride, columns, stride, C), dy.dtype).at[:, :, 0, :, 0].set(dy)
    return spread.reshape(B, rows * stride, columns * stride, C)[:, : shape[1], : shape[2]]


def _kernel_gradient(x: jax.Array, dy: jax.Array, size: int, stride: int) -> jax.Array:
    """The kernel's gradient [size, size, in, out]: the input that each tap sees at every output pixel, times dy.

    Goes through the output in blocks of pixels small enough that the shifted inputs of a block stay in the cache.
    """
    B, H, W, F = dy.shape
    C = x.shape[-1]
    pad = size // 2
    rows = largest_divisor(H, PIXELS_PER_BLOCK // W)
    images = largest_divisor(B, PIXELS_PER_BLOCK // (rows * W)) if rows == H else 1
    padded = jnp.pad(x, ((0, 0), (pad, pad + stride), (pad, pad + stride), (0, 0)))
    height, width = rows * stride, W * stride

    def block(total: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        image, row = number // (H // rows) * images, number % (H // rows) * rows
        seen = jax.lax.dynamic_slice(
            padded, (image, row * stride, 0, 0), (images, height + size - 1, width + size - 1, C)
        )
        taps = [
            seen[:, i : i + height : stride, j : j + width : stride].reshape(-1, C)
            for i in range(size)
            for j in range(size)
        ]
        out = jax.lax.dynamic_slice(dy, (image, row, 0, 0), (images, rows, W, F)).reshape(-1, F)
        return total + jnp.dot(out.T, jnp.concatenate(taps, -1), preferred_element_type=jnp.float32), None

    zeros = jnp.zeros((F, size**2 * C))  # float32, the precision a single matrix product would accumulate in
    total, _ = jax.lax.scan(block, zeros, jnp.arange(B * H // (images * rows)))
    return total.reshape(F, size, size, C).transpose(1, 2, 3, 0).astype(dy.dtype)
