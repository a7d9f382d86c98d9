"""The norm beside its definition in float64, in each backend's form: values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.nn import group_norm
from edeline_jax.nn.group_norm import group_normalize


@pytest.fixture(params=["cpu and tpu", "gpu"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Replaces the choice by backend."""
    if request.param == "gpu":
        monkeypatch.setattr(group_norm, "channel_means", group_norm._means_in_strips)
        monkeypatch.setattr(group_norm, "group_mean", group_norm._mean_by_reshape)
    return request.param


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


@pytest.mark.parametrize("channels", [8, 64])
@pytest.mark.parametrize("mean", [0.0, 300.0])
def test_in_one_pass_is_that_in_two(form: str, channels: int, mean: float) -> None:
    """A mean of 300 standard deviations would cost five of float32's seven digits without the pivot."""
    x, scale, shift, _ = arrays((2, 16, 12, channels), 1, mean)
    with jax.enable_x64(True):
        expected = in_two_passes(*(jnp.asarray(a, jnp.float64) for a in (x, scale, shift)))
    np.testing.assert_allclose(group_normalize(x, scale, shift), expected, atol=1e-3 if mean else 1e-5)


@pytest.mark.parametrize("condition", [1, 3], ids=["learned", "per sample"])
@pytest.mark.parametrize("channels", [8, 64])
def test_gradients_are_those_of_the_definition(form: str, channels: int, condition: int) -> None:
    *inputs, weight = arrays((3, 16, 12, channels), condition, mean=2.0)

    def gradients(norm: object, *inputs: jax.Array) -> tuple[jax.Array, ...]:
        return jax.grad(lambda *inputs: (norm(*inputs) * weight).sum(), argnums=(0, 1, 2))(*inputs)

    with jax.enable_x64(True):
        expected = gradients(in_two_passes, *(jnp.asarray(a, jnp.float64) for a in inputs))
    for ours, exact in zip(gradients(group_normalize, *map(jnp.asarray, inputs)), expected, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_normalised_in_float32() -> None:
    """Sums of 192 pixels in bfloat16 would be off by more than its rounding of the result."""
    x, scale, shift, _ = (jnp.asarray(a) for a in arrays((2, 16, 12, 64), 1, mean=4.0))
    x = x.astype(jnp.bfloat16)
    y = group_normalize(x, scale, shift)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y, group_normalize(x.astype(jnp.float32), scale, shift).astype(jnp.bfloat16))
