"""Parameters of which every one is random, so that no gradient hides behind a zero."""

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.agent.networks import Agent, agent_shapes
from edeline_jax.config import Config
from edeline_jax.nn.params import Params


def random_params(agent: Agent, config: Config) -> Params:
    """Drawn by NumPy: to compile fresh weights takes as long as an update."""
    rng = np.random.default_rng(0)
    shapes = agent_shapes(agent, config.frame_shape)

    def draw(path: tuple, like: jax.ShapeDtypeStruct) -> jax.Array:
        mean = float(path[-1].key == "scale")
        return jnp.asarray(mean + 0.3 * rng.standard_normal(like.shape, np.float32))

    return jax.tree_util.tree_map_with_path(draw, shapes)
