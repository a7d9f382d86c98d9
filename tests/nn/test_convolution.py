import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.nn import convolution
from edeline_jax.nn.convolution import convolve, padded_convolve, plain_convolve


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 9])
def test_equals_the_plain_form_with_its_gradients(form: str, size: int, stride: int, side: int) -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel = jax.random.normal(keys[0], (2, side, side + 1, 5)), jax.random.normal(keys[1], (size, size, 5, 7))
    y, pull = jax.vjp(lambda x, k: convolve(x, k, stride), x, kernel)
    expected, pull_expected = jax.vjp(lambda x, k: plain_convolve(x, k, stride), x, kernel)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    dy = jax.random.normal(keys[2], y.shape)
    for got, want in zip(pull(dy), pull_expected(dy), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [(15, 64), (64, 3), (3, 5)])
@pytest.mark.parametrize("stride", [1, 2])
def test_filled_up_channels_change_nothing(channels: tuple[int, int], stride: int) -> None:
    """The form that GPUs take, with its gradients."""
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel = jax.random.normal(keys[0], (2, 8, 6, channels[0])), jax.random.normal(keys[1], (3, 3, *channels))
    (y, pull), (expected, pull_expected) = (
        jax.vjp(lambda x, k, f=form: f(x, k, stride), x, kernel) for form in (padded_convolve, plain_convolve)
    )
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    dy = jax.random.normal(keys[2], y.shape)
    for got, want in zip(pull(dy), pull_expected(dy), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 40, 40), (6, 12, 10)], ids=["strips of an image", "several images"])
@pytest.mark.parametrize("stride", [1, 2])
def test_kernel_gradients_in_several_blocks(
    shape: tuple[int, ...], stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "PIXELS_PER_BLOCK", 250)
    keys = jax.random.split(jax.random.key(0))
    x, kernel = jax.random.normal(keys[0], (*shape, 4)), jnp.zeros((3, 3, 4, 2))
    dy = jax.random.normal(keys[1], jax.eval_shape(lambda: convolve(x, kernel, stride)).shape)
    got, expected = (jax.vjp(lambda k, f=f: f(x, k, stride), kernel)[1](dy)[0] for f in (convolve, plain_convolve))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_kernel_gradients_add_up_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,048 blocks of equal terms: in bfloat16 the sum would stop growing after some hundred."""
    monkeypatch.setattr(convolution, "PIXELS_PER_BLOCK", 1)
    x, kernel = jnp.ones((2, 32, 32, 1), jnp.bfloat16), jnp.zeros((3, 3, 1, 1), jnp.bfloat16)
    (gradient,) = jax.vjp(lambda k: convolve(x, k), kernel)[1](jnp.ones((2, 32, 32, 1), jnp.bfloat16))
    assert gradient[1, 1, 0, 0] == 2048


def test_stride_two_sees_the_row_before_each_pixel_pair(form: str) -> None:
    """Padding 1 on every side, as in PyTorch: output pixel 0 is centred on input pixel 0."""
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    centre = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1.0)
    np.testing.assert_array_equal(convolve(x, centre, 2)[0, :, :, 0], [[0, 2], [8, 10]])
