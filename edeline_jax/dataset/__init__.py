"""Recorded experience on disk: an open dataset format with one compressed file per episode, and a run's journal.

`python -m edeline_jax.dataset` inspects, validates, imports and exports datasets.
"""
