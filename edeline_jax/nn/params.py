"""Parameter trees: their type, their count, how a module gets its own, and how fresh ones are drawn."""

import zlib
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from flax.core import meta

from edeline_jax.nn.initializers import Initializer

# The tree that Flax's `init` returns; an agent has {"world_model": Params, "actor_critic": Params}.
Params = dict[str, Any]


def count_params(params: Params) -> int:
    """The number of trained parameters, which are all but the fixed Fourier weights."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return sum(leaf.size for path, leaf in leaves if "noise_emb" not in jax.tree_util.keystr(path))


def cast_weights(params: Params, dtype: jnp.dtype, float32_layers: Sequence[str]) -> Params:
    """Casts once what layers would cast at every use: kernels and biases of linear and convolution layers.

    A loop that gets the result as an argument does not cast in every iteration, as XLA otherwise does: for the
    denoiser of an imagined step on a GPU, a fifth of all kernels. Norms stay float32, and so do the layers in
    `float32_layers`, whose inputs are.
    """
    if dtype == jnp.float32:
        return params

    def cast(path: tuple, layer: Any) -> Any:
        if not _is_layer(layer) or any(key.key in float32_layers for key in path):
            return layer
        return jax.tree.map(lambda x: x.astype(dtype), layer)

    # the barrier keeps XLA from moving the casts back to where they are used
    return jax.lax.optimization_barrier(jax.tree_util.tree_map_with_path(cast, params, is_leaf=_is_layer))


def _is_layer(node: Any) -> bool:
    return isinstance(node, dict) and "kernel" in node


class _Undrawn(struct.PyTreeNode, meta.AxisMetadata):
    """Stands for a parameter between Flax's `init` and the draw of its value."""

    value: jax.Array
    init: Initializer = struct.field(pytree_node=False)

    def unbox(self) -> jax.Array:
        return self.value

    def replace_boxed(self, value: jax.Array) -> "_Undrawn":
        return self.replace(value=value)

    def add_axis(self, index: int, params: dict[Any, Any]) -> "_Undrawn":
        raise NotImplementedError("a scan over layers would draw every layer's parameters alike")

    remove_axis = add_axis


def param(module: nn.Module, name: str, init: Initializer, shape: tuple[int, ...]) -> jax.Array:
    """The module's float32 parameter of that name; `draw_params` gives it its first value.

    Raises:
      flax.errors.ScopeParamShapeError: the existing parameter has another shape.
    """
    if module.has_variable("params", name):  # Flax would trace the initializer at every use, to compare shapes
        value = meta.unbox(module.get_variable("params", name))
        if value.shape == shape:
            return value
    return module.param(name, lambda key: _Undrawn(jnp.zeros(shape), init))


def draw_params(module: nn.Module, seed: Sequence[int], *inputs: Any) -> Params:
    """Fresh parameters, NumPy arrays, of a module that is called with such inputs (or their shapes).

    Every parameter is drawn from a stream of its own, named by the seed and its path, so none changes when another one
    comes or goes.
    """

    def draw(path: tuple, undrawn: _Undrawn) -> np.ndarray:
        stream = zlib.crc32(jax.tree_util.keystr(path).encode())
        return undrawn.init(np.random.default_rng([*seed, stream]), undrawn.value.shape)

    return jax.tree_util.tree_map_with_path(draw, _undrawn(module, *inputs), is_leaf=_is_undrawn)


def param_shapes(module: nn.Module, *inputs: Any) -> Params:
    """Shapes and dtypes of what `draw_params` draws."""
    return meta.unbox(_undrawn(module, *inputs))


def _undrawn(module: nn.Module, *inputs: Any) -> Params:
    return jax.eval_shape(module.init, jax.random.key(0), *inputs)


def _is_undrawn(node: Any) -> bool:
    return isinstance(node, _Undrawn)
