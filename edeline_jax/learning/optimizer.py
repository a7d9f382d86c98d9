"""AdamW with the reference's decay groups, linear warm-up and global-norm clipping."""

import re
from typing import Any

import jax
import optax

from edeline_jax.config.schema import OptimizerConfig

# Decay applies only to the weights of linear, convolution, LSTM and Mamba layers, and to the norms in Mamba layers.
DECAYED = re.compile(r"(/(conv_)?kernel|/weight_[ih]h|/mamba/layers_\d+/norm/scale)$")


def make_optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    """Clip, Adam, decoupled decay (Loshchilov & Hutter 2019), learning rate `lr * min(update / lr_warmup_steps, 1)`."""
    warm_up = optax.linear_schedule(0.0, config.lr, config.lr_warmup_steps) if config.lr_warmup_steps else config.lr
    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm),
        optax.scale_by_adam(eps=config.eps),
        optax.add_decayed_weights(config.weight_decay, mask=decay_mask),
        optax.scale_by_learning_rate(warm_up),
    )


def decay_mask(params: Any) -> Any:
    """A tree like `params`: True for the leaves that weight decay applies to."""

    def decays(path: tuple, _: Any) -> bool:
        return bool(DECAYED.search("/" + "/".join(str(entry.key) for entry in path)))

    return jax.tree_util.tree_map_with_path(decays, params)
