"""Recorded experience on disk: an open format of one compressed file per episode, and the files under it.

`python -m edeline_jax.dataset` inspects, validates, imports and exports.
"""
