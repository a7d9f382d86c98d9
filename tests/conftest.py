"""Eight virtual CPU devices, so that the tests of several devices need no accelerator; no silent broadcasts."""

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@pytest.fixture(scope="module", autouse=True)
def _compilation(request: pytest.FixtureRequest) -> None:
    """Programs are compiled in a hurry, except in modules marked as optimized: those test numbers of the real ones."""
    in_a_hurry = request.node.get_closest_marker("optimized") is None
    jax.config.update("jax_disable_most_optimizations", in_a_hurry)
