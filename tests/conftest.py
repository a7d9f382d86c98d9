"""Tripwires for every test: shapes that broadcast by accident raise."""

import jax

jax.config.update("jax_numpy_rank_promotion", "allow")
