import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.nn import image_encoder
from edeline_jax.nn.image_encoder import ImageEncoder, encode_in_parts
from edeline_jax.nn.layers import group_normalize


def in_two_passes(x: np.ndarray) -> np.ndarray:
    """Group norm in float64, variance around the mean."""
    B, H, W, C = x.shape
    groups = x.astype(np.float64).reshape(B, H * W, max(1, C // 32), -1)
    mean, variance = groups.mean((1, 3), keepdims=True), groups.var((1, 3), keepdims=True)
    return ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)


@pytest.mark.parametrize("channels", [8, 64])
@pytest.mark.parametrize("mean", [0.0, 300.0])
def test_group_norm_in_one_pass_is_that_in_two(channels: int, mean: float) -> None:
    """A mean of 300 standard deviations would cost five of float32's seven digits without the pivot."""
    x = mean + np.random.default_rng(0).normal(size=(2, 9, 7, channels)).astype(np.float32)
    np.testing.assert_allclose(group_normalize(x, 1.0, 0.0), in_two_passes(x), atol=2e-4 if mean else 1e-5)


def test_group_norm_gradients_do_not_see_the_pivot() -> None:
    """Finite differences at the first pixel, the pivot, and at another one."""
    x = jax.random.normal(jax.random.key(0), (1, 3, 3, 4))
    weight = jax.random.normal(jax.random.key(1), x.shape)

    def loss(x: jax.Array) -> jax.Array:
        return (group_normalize(x, 1.0, 0.0) * weight).sum()

    gradient = jax.grad(loss)(x)
    for pixel in ((0, 0, 0, 1), (0, 2, 1, 3)):
        step = jnp.zeros_like(x).at[pixel].set(1e-2)
        np.testing.assert_allclose((loss(x + step) - loss(x - step)) / 2e-2, gradient[pixel], rtol=1e-2, atol=1e-3)


def test_frames_in_parts_are_encoded_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients; also where the module makes its parameters inside of the parts."""
    monkeypatch.setattr(image_encoder, "PART_BYTES", 4 * 8 * 8 * 4 * 4)  # four frames

    class Network(nn.Module):
        parts: bool

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            encoder = ImageEncoder((4, 4), (True, False), name="encoder")
            return encode_in_parts(encoder, x) if self.parts else encoder(x)

    x = jax.random.normal(jax.random.key(0), (9, 8, 8, 3))  # three parts of three
    params = Network(parts=True).init(jax.random.key(1), x)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, Network(parts=False).init(jax.random.key(1), x))

    def gradients(parts: bool) -> tuple[jax.Array, dict]:
        return jax.value_and_grad(lambda params: jnp.square(Network(parts).apply(params, x)).sum())(params)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), gradients(True), gradients(False))
