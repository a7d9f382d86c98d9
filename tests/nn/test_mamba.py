"""Mamba layers beside themselves: steps that are none leave no trace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.config.schema import MambaConfig
from edeline_jax.nn.mamba import Mamba, init_cache
from edeline_jax.nn.params import draw_params

B, T, FRONT = 3, 7, (0, 2, 5)  # of every row, how many steps come before its sequence


@pytest.mark.parametrize("scan", ["associative", "sequential"])
def test_no_cache_moves_before_a_sequence_begins(scan: str) -> None:
    """Whatever stands there: outputs and caches are those of the sequence alone."""
    config = MambaConfig(d_model=6, n_layers=2, d_state=3, expand_factor=2, d_conv=4, scan=scan)
    x = jax.random.normal(jax.random.key(0), (B, T, 6))
    caches = init_cache(config, B)
    params = draw_params(Mamba(config), [0], x, caches)
    mask = jnp.arange(T)[None] >= jnp.array(FRONT)[:, None]
    apply = jax.jit(Mamba(config).apply)
    y, caches = apply(params, x, caches, mask)
    for row, front in enumerate(FRONT):
        alone, end = apply(params, x[row : row + 1, front:], init_cache(config, 1))
        np.testing.assert_allclose(y[row, front:], alone[0], rtol=1e-4, atol=1e-5)
        jax.tree.map(lambda a, b, row=row: np.testing.assert_allclose(a[row], b[0], 1e-4, 1e-5), caches, end)
