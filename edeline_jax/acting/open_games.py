"""Games in worlds written in JAX as they stand between two steps, and their arrays by name, which are saved."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.actor_critic.actor import State


class OpenGames(NamedTuple):
    """N games between two steps."""

    frames: jax.Array  # uint8 [N, H, W, 3]: to act on
    fresh: jax.Array  # bool [N]: where the actor's state begins from zeros
    lstm: State  # of the actor: its LSTM's, and what else it keeps
    world: Any  # the world's state, leaves [N, ...]


def named(games: OpenGames) -> dict[str, jax.Array]:
    """The arrays [N, ...] of games by their places in the tree; keys become their data."""
    leaves = jax.tree_util.tree_leaves_with_path(games)
    return {_name(path): jax.random.key_data(x) if _is_key(x) else x for path, x in leaves}


def fit(saved: Mapping[str, np.ndarray], like: OpenGames) -> bool:
    """Whether the arrays are those of games of these shapes: another version of a world may have others."""
    wanted = jax.eval_shape(named, like).items()
    return all(name in saved and (saved[name].shape, saved[name].dtype) == (x.shape, x.dtype) for name, x in wanted)


def restored(saved: Mapping[str, np.ndarray], like: OpenGames) -> OpenGames:
    """The games that had these arrays, which `fit`."""

    def find(path: tuple, x: jax.ShapeDtypeStruct) -> jax.Array:
        array = jnp.asarray(saved[_name(path)])
        return jax.random.wrap_key_data(array) if _is_key(x) else array

    return jax.tree_util.tree_map_with_path(find, like)


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
