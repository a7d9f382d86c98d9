"""EDELINE in JAX: a diffusion world model with a Mamba memory, and an actor-critic that learns inside it."""

from typing import TYPE_CHECKING, Any

from edeline_jax.runtime import xla_flags

if TYPE_CHECKING:
    from edeline_jax.agent.trained import TrainedAgent

__version__ = "0.1.0"

xla_flags.compute_correctly()  # here, because it must come before JAX starts its devices


def load(*arguments: Any, **options: Any) -> "TrainedAgent":
    """Reads a trained agent; see `edeline_jax.agent.trained.load`."""
    from edeline_jax.agent import trained  # here, so that `import edeline_jax` does not load JAX

    return trained.load(*arguments, **options)
