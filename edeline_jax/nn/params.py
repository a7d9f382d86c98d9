"""The type of parameter trees, and their count."""

from typing import Any

import jax

# The tree that Flax's `init` returns; an agent has {"world_model": Params, "actor_critic": Params}.
Params = dict[str, Any]


def count_params(params: Params) -> int:
    """The number of trained parameters, which are all but the fixed Fourier weights."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return sum(leaf.size for path, leaf in leaves if "noise_emb" not in jax.tree_util.keystr(path))
