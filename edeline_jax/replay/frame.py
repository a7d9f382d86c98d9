"""Frames as they are stored (uint8) and as networks see them (float32 in [-1, 1])."""

import jax
import jax.numpy as jnp


def to_float(frames: jax.Array) -> jax.Array:
    """uint8 frames -> float32 in [-1, 1]."""
    return frames.astype(jnp.float32) / 255 * 2 - 1


def to_uint8(x: jax.Array) -> jax.Array:
    """Clamps to [-1, 1] and truncates to 0..255."""
    return ((jnp.clip(x, -1, 1) + 1) / 2 * 255).astype(jnp.uint8)


def from_float(x: jax.Array) -> jax.Array:
    """The inverse of `to_float`: rounds to the nearest of 0..255, where `to_uint8` may cut one off. x in [-1, 1]."""
    return jnp.round((x + 1) / 2 * 255).astype(jnp.uint8)


def quantize(x: jax.Array) -> jax.Array:
    """Rounds x to the float values that stored frames can have."""
    return to_float(to_uint8(x))
