"""Parameters as values."""

from typing import Any

import jax

# What Flax's `init` returns; an agent's are {"world_model": Params, "actor_critic": Params}.
Params = dict[str, Any]


def count_params(params: Params) -> int:
    """The number of trained parameters: all but the fixed Fourier weights."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return sum(leaf.size for path, leaf in leaves if "noise_emb" not in jax.tree_util.keystr(path))
