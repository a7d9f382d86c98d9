"""AdamW with linear warm-up and clipping, once more in numpy, on flat dicts of arrays."""

from collections.abc import Callable

import numpy as np

from edeline_jax.config.schema import OptimizerConfig

Arrays = dict[str, np.ndarray]


def adamw(
    params: Arrays, gradients: Callable[[Arrays, int], Arrays], num_updates: int, c: OptimizerConfig
) -> tuple[Arrays, list[float]]:
    """The parameters after updates 0, 1, ... with `gradients(params, update)`, and the norms before clipping.

    What is called a kernel decays.
    """
    params = {name: np.asarray(p, np.float64) for name, p in params.items()}
    m, v, norms = dict.fromkeys(params, 0.0), dict.fromkeys(params, 0.0), []
    for n in range(num_updates):
        grads = {name: np.asarray(g, np.float64) for name, g in gradients(params, n).items()}
        norms.append(np.sqrt(sum(np.square(g).sum() for g in grads.values())))
        lr = c.lr * min(n / c.lr_warmup_steps, 1)
        for name, g in grads.items():
            g = g * min(1, c.max_grad_norm / norms[-1])
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g**2
            step = m[name] / (1 - 0.9 ** (n + 1)) / (np.sqrt(v[name] / (1 - 0.999 ** (n + 1))) + c.eps)
            params[name] = params[name] - lr * (step + c.weight_decay * (name == "kernel") * params[name])
    return params, norms
