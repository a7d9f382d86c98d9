import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ScopeParamShapeError

from edeline_jax.nn.initializers import ones, standard_normal
from edeline_jax.nn.params import draw_params, param, param_shapes


class Scaled(nn.Module):
    names: tuple[str, ...] = ("a", "b")
    shape: tuple[int, ...] = (3,)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for name in self.names:
            x = x * param(self, name, standard_normal, self.shape)
        return x * param(self, "one", ones, ())


def test_parameters_are_used_as_drawn() -> None:
    params = draw_params(Scaled(), [0], jnp.ones(3))
    a, b, one = (params["params"][name] for name in ("a", "b", "one"))
    assert one == 1 and a.shape == b.shape == (3,)
    np.testing.assert_allclose(Scaled().apply(params, jnp.ones(3)), a * b, rtol=1e-6)
    assert param_shapes(Scaled(), jnp.ones(3)) == jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)


def test_every_parameter_has_a_stream_of_its_own() -> None:
    """Another seed draws another value, another parameter draws another value, and neither moves the others."""
    seeds = [draw_params(Scaled(), [seed], jnp.ones(3))["params"] for seed in (0, 1)]
    alone = draw_params(Scaled(names=("b",)), [0], jnp.ones(3))["params"]
    drawn = [seeds[0]["a"], seeds[0]["b"], seeds[1]["a"], seeds[1]["b"]]
    assert len({x.tobytes() for x in drawn}) == 4
    np.testing.assert_array_equal(alone["b"], seeds[0]["b"])


def test_a_parameter_of_another_shape_is_refused() -> None:
    with pytest.raises(ScopeParamShapeError):
        Scaled(("a",), (1,)).apply({"params": {"a": jnp.ones(3), "one": jnp.ones(())}}, jnp.ones(3))
