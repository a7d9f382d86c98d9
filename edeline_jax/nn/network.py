"""What the networks of an agent have in common: their config, and the precision of their products."""

import contextlib
from typing import Any

import flax.linen as nn
import jax

from edeline_jax.config.schema import AgentConfig


class Network(nn.Module):
    """A network of an agent; `apply` computes with `precision`."""

    config: AgentConfig
    num_actions: int

    @nn.nowrap
    def precision(self) -> contextlib.AbstractContextManager:
        """Within it, products of float32 have the config's `matmul_precision`; gradients must be taken within it.

        `default` leaves it to JAX: TF32 on a GPU, bfloat16 on a TPU, float32 on a CPU, unless the variable
        JAX_DEFAULT_MATMUL_PRECISION says otherwise.
        """
        chosen = self.config.matmul_precision
        return contextlib.nullcontext() if chosen == "default" else jax.default_matmul_precision(chosen)

    @nn.nowrap
    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """As Flax's."""
        with self.precision():
            return super().apply(*args, **kwargs)
