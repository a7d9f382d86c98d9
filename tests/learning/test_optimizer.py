import numpy as np
import optax
import pytest

from edeline_jax.learning import optimizer
from edeline_jax.learning.optimizer import global_norm


@pytest.mark.parametrize("size", [0.1, 10.0])
def test_clipping_is_optax_s(form: str, size: float) -> None:
    """By the norm of all arrays together, whatever their shapes; above and below the limit of 3."""
    rng = np.random.default_rng(0)
    grads = {name: size * rng.normal(size=shape).astype(np.float32) for name, shape in {"a": (3, 4), "b": ()}.items()}
    exact = np.sqrt(sum(np.square(np.float64(g)).sum() for g in grads.values()))
    np.testing.assert_allclose(global_norm(grads), exact, rtol=1e-6)
    clip = optax.clip_by_global_norm(3.0)
    for name, expected in clip.update(grads, clip.init(grads))[0].items():
        np.testing.assert_allclose(optimizer._clipped(grads, 3.0)[name], expected, rtol=1e-6)
    assert (exact > 3) == (size > 1)
