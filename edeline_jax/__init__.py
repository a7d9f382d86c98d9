"""EDELINE in JAX: a diffusion world model with a Mamba memory, and an actor-critic that learns inside it."""

__version__ = "0.1.0"
