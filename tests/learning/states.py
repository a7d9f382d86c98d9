"""States of training, compared."""

import jax
import numpy as np

from edeline_jax.learning.state import TrainState


def assert_same(one: TrainState, other: TrainState) -> None:
    """Equal bit for bit."""
    one, other = (s._replace(key=jax.random.key_data(s.key)) for s in (one, other))
    jax.tree.map(np.testing.assert_array_equal, one, other)
