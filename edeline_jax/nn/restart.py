"""Computes only some rows of a batch in a program with fixed shapes; the cost grows with their number."""

from collections.abc import Callable
from typing import TypeVar

import chex
import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")
SLOTS = 8  # rows computed at once in a batch of 32; in proportion for other batches


def largest_divisor(n: int, limit: float) -> int:
    """The largest divisor of n that is at most `limit`, but at least 1; splits n rows into equal parts."""
    return max(d for d in range(1, n + 1) if n % d == 0 and (d <= limit or d == 1))


def replace_rows(chosen: jax.Array, compute: Callable[[jax.Array], Tree], old: Tree) -> Tree:
    """Replaces the chosen rows of every leaf of `old`, a few at a time; if none is chosen, nothing is computed.

    Not reverse-differentiable, since the number of loop iterations depends on the number of chosen rows.

    Args:
      chosen: bool [B].
      compute: indices int [k] of rows -> their new values, leaves [k, ...].
      old: leaves [B, ...].
    """
    chex.assert_rank(chosen, 1, custom_message="chosen")
    chex.assert_tree_shape_prefix(old, chosen.shape)
    batch = chosen.shape[0]
    slots = max(1, batch * SLOTS // 32)

    def some(loop: tuple[jax.Array, Tree]) -> tuple[jax.Array, Tree]:
        left, rows = loop
        (index,) = jnp.nonzero(left, size=slots, fill_value=batch)  # unused slots point past the last row
        new = compute(jnp.minimum(index, batch - 1))
        rows = jax.tree.map(lambda row, value: row.at[index].set(value, mode="drop"), rows, new)
        return left.at[index].set(False, mode="drop"), rows

    return jax.lax.while_loop(lambda loop: loop[0].any(), some, (chosen, old))[1]
