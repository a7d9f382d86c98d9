"""Initializers that differ from Flax's defaults.

Learning depends on them; the reference uses PyTorch's defaults.
"""

import jax
import jax.numpy as jnp
from flax.typing import Initializer


def uniform_fan_in(fan_in: int) -> Initializer:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for weights and biases of linear and conv layers."""
    return symmetric_uniform(fan_in**-0.5)


def symmetric_uniform(bound: float) -> Initializer:
    """U(-bound, bound)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


def log_arange(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """log(1..N) along the last axis: the S4D-real initialisation of Mamba's A_log."""
    del key
    return jnp.broadcast_to(jnp.log(jnp.arange(1, shape[-1] + 1, dtype=dtype)), shape)


def inverse_softplus_log_uniform(low: float, high: float) -> Initializer:
    """A bias whose softplus is log-uniform in [low, high] (Mamba's step sizes)."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
        delta = jnp.exp(jax.random.uniform(key, shape, dtype, jnp.log(low), jnp.log(high)))
        return delta + jnp.log(-jnp.expm1(-delta))

    return init


def lstm_bias(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Zeros, except ones for the forget gate; gates in the order i, f, g, o."""
    del key
    gates = jnp.zeros((4, shape[0] // 4), dtype).at[1].set(1.0)
    return gates.reshape(shape)


def conv_orthogonal(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Orthogonal as a matrix of output channels x all inputs; the kernel is [height, width, in, out]."""
    return jax.nn.initializers.orthogonal(column_axis=-1)(key, shape, dtype)
