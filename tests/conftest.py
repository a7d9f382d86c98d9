"""Eight virtual CPU devices, so that the tests of several devices need no accelerator; no silent broadcasts."""

from collections.abc import Iterator

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@pytest.fixture(scope="module", autouse=True)
def _compilation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Programs are compiled in a hurry, except where they meet golden numbers: those are of the real ones."""
    jax.config.update("jax_disable_most_optimizations", "golden" not in request.module.__name__)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
