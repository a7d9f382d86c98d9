"""Sequence models behind one contract, `(x, caches, mask) -> (y, caches)`, any number of steps at once.

Mamba is EDELINE's; the others are there to ask what it is worth. With equal `d_model` and `n_layers` they have about as
many parameters: a layer of GRU has 6 D², of Mamba (E = 2 D) a little more, of LSTM and Transformer (E = 2 D) 8 D².
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.config.schema import RecurrentEmbConfig
from edeline_jax.nn import mamba, transformer
from edeline_jax.nn.gru import GRUCell
from edeline_jax.nn.layers import RMSNorm
from edeline_jax.nn.lstm import LSTMCell, LSTMState

Caches = tuple[Any, ...]  # of every layer; arrays [B, ...]


class RecurrentLayer(nn.Module):
    """`x + cell(RMSNorm(x))`, step by step; the cell is a GRU's or an LSTM's, `(x, state) -> (y, state)`."""

    kind: str

    @nn.compact
    def __call__(self, x: jax.Array, state: Any, mask: jax.Array | None) -> tuple[jax.Array, Any]:
        D = x.shape[-1]
        cell = GRUCell(D, name="cell") if self.kind == "gru" else LSTMCell(D, name="cell")
        y, state = over_time(cell, RMSNorm(name="norm")(x), state, mask)
        return x + y, state


class Memory(nn.Module):
    """A sequence of layers over x [B, T, D], each with its own cache; of the kind that the config names.

    `mask` [B, T] is false at steps before a sequence begins: no cache moves there. They come first, where the caches
    are those of `init_caches`.
    """

    config: RecurrentEmbConfig

    @nn.compact
    def __call__(self, x: jax.Array, caches: Caches, mask: jax.Array | None = None) -> tuple[jax.Array, Caches]:
        new = []
        for i, cache in enumerate(caches):
            x, cache = self._layer(f"layers_{i}")(x, cache, mask)
            new.append(cache)
        return x, tuple(new)

    def _layer(self, name: str) -> nn.Module:
        c = self.config
        if c.memory == "mamba":
            return mamba.MambaLayer(c.mamba, name=name)
        if c.memory == "transformer":
            return transformer.TransformerLayer(c.window, c.mamba.expand_factor, name=name)
        return RecurrentLayer(c.memory, name=name)


def init_caches(config: RecurrentEmbConfig, batch: int) -> Caches:
    """The caches of all layers at the start of a sequence, all zeros."""
    D = config.mamba.d_model
    hx = jnp.zeros((batch, D))
    kinds = {
        "mamba": lambda: mamba.init_cache(config.mamba, batch),
        "gru": lambda: hx,
        "lstm": lambda: LSTMState(hx, hx),
        "transformer": lambda: transformer.init_cache(config.window, D, batch),
    }
    return (kinds[config.memory](),) * config.mamba.n_layers


def over_time(cell: nn.Module, x: jax.Array, state: Any, mask: jax.Array | None) -> tuple[jax.Array, Any]:
    """The outputs [B, T, D] of a cell for inputs [B, T, F], and its last state.

    Args:
      mask: bool [B, T], false where the state does not move; None: it moves at all steps.
    """

    def step(cell: nn.Module, old: Any, inputs: tuple[jax.Array, jax.Array | None]) -> tuple[Any, jax.Array]:
        x, moves = inputs
        y, new = cell(x, old)
        if moves is not None:
            new = jax.tree.map(lambda new, old: jnp.where(moves[:, None], new, old), new, old)
        return new, y

    scan = nn.scan(step, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1)
    state, y = scan(cell, state, (x, mask))
    return y, state
