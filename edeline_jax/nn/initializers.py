"""Initial values of parameters: `(generator, shape) -> float32 array`, drawn by NumPy.

Learning depends on the distributions; they are the reference's, which are PyTorch's defaults for most layers. NumPy
draws them in no time, and the same on every device; a program that draws the paper's 300 parameters takes a GPU more
than a minute to compile.
"""

from collections.abc import Callable

import numpy as np

Initializer = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """0."""
    del rng
    return np.zeros(shape, np.float32)


def ones(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """1."""
    del rng
    return np.ones(shape, np.float32)


def standard_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """N(0, 1)."""
    return rng.standard_normal(shape, np.float32)


def symmetric_uniform(bound: float) -> Initializer:
    """U(-bound, bound)."""
    return lambda rng, shape: (bound * (2 * rng.random(shape, np.float32) - 1)).astype(np.float32)


def uniform_fan_in(fan_in: int) -> Initializer:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for weights and biases of linear and conv layers."""
    return symmetric_uniform(fan_in**-0.5)


def xavier_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """U(-b, b) with b = sqrt(6 / (in + out)) for a matrix [in, out] (Glorot & Bengio 2010)."""
    return symmetric_uniform((6 / sum(shape)) ** 0.5)(rng, shape)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A random matrix whose rows or columns, whichever are fewer, are orthonormal (Saxe et al. 2014)."""
    tall = (max(shape), min(shape))
    Q, R = np.linalg.qr(rng.standard_normal(tall))
    Q *= np.sign(np.diag(R))  # makes every orthogonal matrix equally likely
    return (Q if shape == tall else Q.T).astype(np.float32)


def conv_orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Orthogonal as a matrix of all inputs x output channels; the kernel is [height, width, in, out]."""
    return orthogonal(rng, (int(np.prod(shape[:-1])), shape[-1])).reshape(shape)


def log_arange(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """log(1..N) along the last axis: the S4D-real initialisation of Mamba's A_log."""
    del rng
    return np.broadcast_to(np.log(np.arange(1, shape[-1] + 1, dtype=np.float32)), shape)


def inverse_softplus_log_uniform(low: float, high: float) -> Initializer:
    """A bias whose softplus is log-uniform in [low, high] (Mamba's step sizes)."""

    def init(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        delta = np.exp(rng.uniform(np.log(low), np.log(high), shape))
        return (delta + np.log(-np.expm1(-delta))).astype(np.float32)

    return init


def lstm_bias(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros, except ones for the forget gate; gates in the order i, f, g, o."""
    gates = zeros(rng, (4, shape[0] // 4))
    gates[1] = 1
    return gates.reshape(shape)
