"""The memory of this process: how much it has taken so far, and what to do where there is none left."""

import contextlib
import resource
from collections.abc import Iterator

import jax

from edeline_jax.runtime.errors import UserError, one_line

# In XLA's errors. CUDA's libraries take memory of their own when they start, and where there is none they do not.
FULL = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY", "out of memory", "ALLOC_FAILED", "DNN library initialization failed")
SHARE = "If other programs use the same GPU, give each its share: XLA_PYTHON_CLIENT_MEM_FRACTION=0.45 for two"


def is_full(error: BaseException) -> bool:
    """Whether the host or a device had no memory left."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in FULL)


@contextlib.contextmanager
def explained(remedy: str) -> Iterator[None]:
    """Where memory runs out within it, a UserError says so, and the `remedy`, a sentence without its stop."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not is_full(error):
            raise
        on_gpu = f". {SHARE}" if jax.default_backend() == "gpu" else ""
        raise UserError(f"out of memory ({one_line(error)}); {remedy}{on_gpu}") from error


def peak_memory() -> dict[str, float]:
    """The most bytes in use at once so far: of the host by this process, and of one of its devices if it says so.

    A CPU does not.
    """
    peaks = {"host_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}  # Linux counts in KiB
    statistics = [device.memory_stats() or {} for device in jax.local_devices()]
    on_devices = [each["peak_bytes_in_use"] for each in statistics if "peak_bytes_in_use" in each]
    return peaks | ({"device_peak_bytes": max(on_devices)} if on_devices else {})
