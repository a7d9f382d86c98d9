"""The encoder of many frames at once, as XLA compiles it in a run, beside the same frames in small batches."""

import jax
import numpy as np
import pytest

from edeline_jax.nn.image_encoder import ImageEncoder

pytestmark = pytest.mark.optimized
ENCODER = ImageEncoder((16, 16, 32, 32), (True,) * 4)  # of the trained example


@pytest.mark.ci
def test_many_frames_are_encoded_as_few() -> None:
    """The library that XLA gave parts of this program to computed them wrongly, at 450 frames and not at 10."""
    frames = np.random.default_rng(0).standard_normal((450, 32, 32, 3), np.float32)
    params = ENCODER.init(jax.random.key(0), frames[:1])
    params = jax.tree.map(lambda x: x + 0.05 * jax.random.normal(jax.random.key(1), x.shape), params)
    encode = jax.jit(ENCODER.apply)
    in_tens = [encode(params, ten) for ten in frames.reshape(45, 10, *frames.shape[1:])]
    np.testing.assert_allclose(encode(params, frames), np.concatenate(in_tens), rtol=1e-4, atol=1e-4)
