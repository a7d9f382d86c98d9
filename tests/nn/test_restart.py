import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.nn.restart import replace_rows


@pytest.mark.parametrize("num_chosen", [0, 1, 7, 32])
def test_replaces_exactly_the_chosen_rows(num_chosen: int) -> None:
    chosen = np.random.default_rng(0).permutation(32) < num_chosen
    old = {"a": jnp.zeros((32, 2)), "b": jnp.arange(32)}

    def compute(index: jax.Array) -> dict[str, jax.Array]:
        return {"a": 1.0 + index[:, None] * jnp.ones((1, 2)), "b": -1 - index}

    got = jax.jit(lambda chosen: replace_rows(chosen, compute, old))(chosen)
    rows = np.arange(32)
    np.testing.assert_array_equal(got["b"], np.where(chosen, -1 - rows, rows))
    np.testing.assert_array_equal(got["a"], np.where(chosen, 1 + rows, 0)[:, None] * np.ones(2))


def test_computes_as_often_as_it_must() -> None:
    calls = []

    def compute(index: jax.Array) -> jax.Array:
        jax.debug.callback(lambda: calls.append(1))
        return index * 1.0

    for num_chosen, expected in ((0, 0), (3, 1), (9, 2)):
        calls.clear()
        jax.block_until_ready(jax.jit(lambda c: replace_rows(c, compute, jnp.zeros(32)))(np.arange(32) < num_chosen))
        jax.effects_barrier()
        assert len(calls) == expected
