from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.nn import image_encoder
from edeline_jax.nn.image_encoder import ImageEncoder, encode_in_parts
from edeline_jax.nn.layers import look_up
from edeline_jax.nn.params import draw_params, param_shapes


@pytest.mark.parametrize("kept", [True, False])
def test_frames_in_parts_are_encoded_as_at_once(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients; also where the module makes its parameters inside of the parts, or encodes them again."""
    monkeypatch.setattr(image_encoder, "KEPT_BYTES", 1e9 if kept else 0)
    monkeypatch.setattr(image_encoder, "PART_BYTES", 4 * 8 * 8 * 4 * 4)  # four frames

    class Network(nn.Module):
        parts: bool

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            encoder = ImageEncoder((4, 4), (True, False), name="encoder")
            return encode_in_parts(encoder, x) if self.parts else encoder(x)

    x = jax.random.normal(jax.random.key(0), (9, 8, 8, 3))  # three parts of three
    params = draw_params(Network(parts=True), [1], x)
    assert param_shapes(Network(parts=True), x) == param_shapes(Network(parts=False), x)

    def gradients(parts: bool) -> tuple[jax.Array, dict]:
        return jax.value_and_grad(lambda params: jnp.square(Network(parts).apply(params, x)).sum())(params)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), gradients(True), gradients(False))
    assert ("remat" in str(jax.make_jaxpr(gradients, static_argnums=0)(True))) != kept


def test_rows_are_looked_up_exactly_and_their_gradient_adds_in_a_fixed_order() -> None:
    table = jax.random.normal(jax.random.key(0), (5, 7))
    index = jnp.array([[4, 0, 4], [4, 1, 2]])
    weight = jax.random.normal(jax.random.key(1), (2, 3, 7))
    np.testing.assert_array_equal(look_up(table, index), table[index])

    def gradient(rows: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
        return jax.grad(lambda table: (rows(table, index) * weight).sum())

    indexed = gradient(lambda table, index: table[index])
    assert "scatter-add" in str(jax.make_jaxpr(indexed)(table))
    assert "scatter" not in str(jax.make_jaxpr(gradient(look_up))(table))
    np.testing.assert_allclose(gradient(look_up)(table), indexed(table), rtol=1e-6)
