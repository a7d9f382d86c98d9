"""Work on some rows of a batch at a cost that follows their number, in programs whose shapes are fixed."""

from collections.abc import Callable
from typing import TypeVar

import chex
import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")
SLOTS = 8  # rows of a batch of 32 that are worked on together; others in proportion


def largest_divisor(n: int, limit: float) -> int:
    """The largest divisor of n up to `limit`, at least 1: rows of a part where all parts are alike."""
    return max(d for d in range(1, n + 1) if n % d == 0 and (d <= limit or d == 1))


def replace_rows(chosen: jax.Array, compute: Callable[[jax.Array], Tree], old: Tree) -> Tree:
    """Replaces the chosen rows of every leaf of `old`, a few at a time; without a chosen row nothing is computed.

    Not differentiable in reverse, since it loops as often as there are rows.

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
        (index,) = jnp.nonzero(left, size=slots, fill_value=batch)  # a spare slot points behind the last row
        new = compute(jnp.minimum(index, batch - 1))
        rows = jax.tree.map(lambda row, value: row.at[index].set(value, mode="drop"), rows, new)
        return left.at[index].set(False, mode="drop"), rows

    return jax.lax.while_loop(lambda loop: loop[0].any(), some, (chosen, old))[1]
