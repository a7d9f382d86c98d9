import numpy as np
import pytest

from edeline_jax.actor_critic.lambda_returns import lambda_returns
from tests.golden_data import load


@pytest.mark.parametrize(("name", "lambda_"), [("lambda_095", 0.95), ("lambda_0", 0.0), ("lambda_1", 1.0)])
def test_golden_returns(name: str, lambda_: float) -> None:
    arrays = load("lambda_returns")
    inputs = (arrays[key].T for key in ("rew", "end", "trunc", "val_bootstrap"))
    np.testing.assert_allclose(lambda_returns(*inputs, 0.985, lambda_).T, arrays[name], rtol=1e-5, atol=1e-6)
