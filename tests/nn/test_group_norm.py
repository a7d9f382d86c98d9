"""The norm beside its definition in float64, in each backend's form: values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.nn.group_norm import group_normalize


def in_two_passes(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """Group norm with the variance around the mean."""
    B, H, W, C = x.shape
    groups = x.reshape(B, H * W, max(1, C // 32), -1)
    mean, variance = groups.mean((1, 3), keepdims=True), groups.var((1, 3), keepdims=True)
    return ((groups - mean) / jnp.sqrt(variance + 1e-5)).reshape(x.shape) * scale + shift


def arrays(shape: tuple[int, ...], condition: int, mean: float = 0.0) -> list[np.ndarray]:
    """x, scale, shift and weights of a loss; scale and shift of every sample if `condition` is the batch size."""
    rng = np.random.default_rng(0)
    wide = (condition, 1, 1, shape[-1])
    return [rng.normal(at, 1, of).astype(np.float32) for at, of in ((mean, shape), (1, wide), (0, wide), (0, shape))]


def in_parts(x: jax.Array) -> tuple[jax.Array, ...]:
    """The first three eighths of the channels, which end inside of a group, and the rest."""
    return tuple(jnp.split(x, [3 * x.shape[-1] // 8], axis=-1))


@pytest.mark.parametrize("channels", [8, 64])
@pytest.mark.parametrize("mean", [0.0, 300.0])
def test_in_one_pass_is_that_in_two(form: str, channels: int, mean: float) -> None:
    """A mean of 300 standard deviations would cost five of float32's seven digits without the pivot."""
    x, scale, shift, _ = arrays((2, 32, 24, channels), 1, mean)
    x += 10 * np.arange(channels, dtype=np.float32)  # channels of a group need not be alike
    with jax.enable_x64(True):
        expected = in_two_passes(*(jnp.asarray(a, jnp.float64) for a in (x, scale, shift)))
    for parts in ((x,), in_parts(x)):
        np.testing.assert_allclose(group_normalize(parts, scale, shift), expected, atol=1e-3 if mean else 1e-5)


@pytest.mark.parametrize("condition", [1, 3], ids=["learned", "per sample"])
@pytest.mark.parametrize("channels", [8, 64])
def test_gradients_are_those_of_the_definition(form: str, channels: int, condition: int) -> None:
    *inputs, weight = arrays((3, 32, 24, channels), condition, mean=2.0)

    def gradients(norm: object, *inputs: jax.Array) -> tuple[jax.Array, ...]:
        return jax.grad(lambda *inputs: (norm(*inputs) * weight).sum(), argnums=(0, 1, 2))(*inputs)

    with jax.enable_x64(True):
        expected = gradients(in_two_passes, *(jnp.asarray(a, jnp.float64) for a in inputs))
    for cut in (lambda x: (x,), in_parts):
        norm = lambda x, *rest, cut=cut: group_normalize(cut(x), *rest)  # noqa: E731
        for ours, exact in zip(gradients(norm, *map(jnp.asarray, inputs)), expected, strict=True):
            np.testing.assert_allclose(ours, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mean", [4.0, 100.0])
def test_bfloat16_is_normalised_in_float32(form: str, mean: float) -> None:
    """Nothing but the result is rounded to bfloat16, by at most 2^-8 of it; sums in bfloat16 would be far off."""
    x, scale, shift, _ = (jnp.asarray(a) for a in arrays((2, 32, 24, 64), 1, mean))
    x = x.astype(jnp.bfloat16)
    y = group_normalize((x,), scale, shift)
    assert y.dtype == jnp.bfloat16
    with jax.enable_x64(True):
        expected = in_two_passes(*(jnp.asarray(a, jnp.float64) for a in (x, scale, shift)))
    np.testing.assert_allclose(y.astype(jnp.float32), expected, rtol=2**-7.9, atol=1e-4 * mean)


@pytest.mark.parametrize("colour", [300.0, 1000.0])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_an_image_of_one_colour_becomes_its_shift(form: str, dtype: jnp.dtype, colour: float) -> None:
    """Rounding must not make its variance negative, or what is divided by it infinite."""
    x = jnp.full((2, 7, 9, 64), colour, dtype)
    y = group_normalize((x,), jnp.ones((1, 1, 1, 64)), jnp.full((1, 1, 1, 64), 0.25))
    np.testing.assert_allclose(y.astype(jnp.float32), 0.25, atol=0.3 if dtype == jnp.bfloat16 else 1e-5)
