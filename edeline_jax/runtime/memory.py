"""The memory of this process so far."""

import resource

import jax


def peak_memory() -> dict[str, float]:
    """The most bytes in use at once so far: of the host by this process, and of one of its devices if it says so.

    A CPU does not.
    """
    peaks = {"host_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}  # Linux counts in KiB
    statistics = [device.memory_stats() or {} for device in jax.local_devices()]
    on_devices = [each["peak_bytes_in_use"] for each in statistics if "peak_bytes_in_use" in each]
    return peaks | ({"device_peak_bytes": max(on_devices)} if on_devices else {})
