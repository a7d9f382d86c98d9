"""AdamW with the reference's decay groups, linear warm-up and global-norm clipping."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import optax

from edeline_jax.config.schema import OptimizerConfig, WorldModelOptimizerConfig
from edeline_jax.nn.params import Params
from edeline_jax.world_model.diamond import Diamond
from edeline_jax.world_model.model import WorldModel

# Decay applies only to the weights of linear, convolution, LSTM and Mamba layers, and to the norms in Mamba layers.
DECAYED = re.compile(r"(/(conv_)?kernel|/weight_[ih]h|/mamba/layers_\d+/norm/scale)$")


def make_world_model_optimizer(
    world_model: WorldModel, config: WorldModelOptimizerConfig
) -> optax.GradientTransformation:
    """See `make_optimizer`; the gradients of DIAMOND's two networks, which share no loss, are clipped apart."""
    if not isinstance(world_model, Diamond):
        return make_optimizer(config)
    limits = {"denoiser": config.max_grad_norm, "rew_end_model": config.max_grad_norm_rew_end}

    def clip(grads: Params, params: Any) -> Params:
        del params
        return {"params": {name: _clipped(part, limits[name]) for name, part in grads["params"].items()}}

    return make_optimizer(config, optax.stateless(clip))


def make_optimizer(
    config: OptimizerConfig, clip: optax.GradientTransformation | None = None
) -> optax.GradientTransformation:
    """Clip, Adam, decoupled decay (Loshchilov & Hutter 2019), learning rate `lr * min(update / lr_warmup_steps, 1)`.

    `clip`: in place of that of the global norm of all gradients.
    """
    warm_up = optax.linear_schedule(0.0, config.lr, config.lr_warmup_steps) if config.lr_warmup_steps else config.lr
    return optax.chain(
        clip or optax.stateless(lambda grads, params: _clipped(grads, config.max_grad_norm)),
        optax.scale_by_adam(eps=config.eps),
        optax.add_decayed_weights(config.weight_decay, mask=decay_mask),
        optax.scale_by_learning_rate(warm_up),
    )


def grad_norms(grads: Params) -> dict[str, jax.Array]:
    """The global norm of gradients before clipping, by its name in the metrics."""
    return {"grad_norm": global_norm(grads)}


def world_model_grad_norms(world_model: WorldModel, grads: Params) -> dict[str, jax.Array]:
    """See `grad_norms`; DIAMOND's two networks have one each, by which they are clipped."""
    if not isinstance(world_model, Diamond):
        return grad_norms(grads)
    return {f"grad_norm_{name}": global_norm(part) for name, part in grads["params"].items()}


def global_norm(tree: Any) -> jax.Array:
    """The Euclidean norm of all leaves together, []."""
    return jax.lax.platform_dependent(*jax.tree.leaves(tree), cuda=_norm_at_once, default=_norm_leaf_by_leaf)


def _norm_leaf_by_leaf(*leaves: jax.Array) -> jax.Array:
    return optax.tree.norm(leaves)


def _norm_at_once(*leaves: jax.Array) -> jax.Array:
    """Side by side, since a kernel or two for each of the paper's 309 arrays cost more than copying them."""
    return optax.tree.norm(jnp.concatenate([leaf.ravel() for leaf in leaves]))


def _clipped(grads: Any, max_norm: float) -> Any:
    """Gradients, scaled down to a global norm of at most `max_norm`."""
    norm = global_norm(grads)
    return jax.tree.map(lambda g: jnp.where(norm < max_norm, g, g / norm * max_norm), grads)


def decay_mask(params: Any) -> Any:
    """A tree like `params`: True for the leaves that weight decay applies to."""

    def decays(path: tuple, _: Any) -> bool:
        return bool(DECAYED.search("/" + "/".join(str(entry.key) for entry in path)))

    return jax.tree_util.tree_map_with_path(decays, params)
