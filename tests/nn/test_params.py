import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax.errors import ScopeParamShapeError

from edeline_jax.nn.params import param


class Scaled(nn.Module):
    shape: tuple[int, ...] = (3,)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x * param(self, "scale", self._init, self.shape)

    def _init(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        CALLS.append(shape)
        return jnp.full(shape, 2.0)


CALLS: list[tuple[int, ...]] = []


def test_an_initializer_runs_once() -> None:
    CALLS.clear()
    params = Scaled().init(jax.random.key(0), jnp.ones(3))
    assert CALLS == [(3,)]
    assert Scaled().apply({"params": {"scale": 5 * params["params"]["scale"]}}, jnp.ones(3)).tolist() == [10.0] * 3
    assert CALLS == [(3,)]


def test_a_parameter_of_another_shape_is_refused() -> None:
    with pytest.raises(ScopeParamShapeError):
        Scaled((1,)).apply({"params": {"scale": jnp.ones(3)}}, jnp.ones(3))
