"""The peak of memory, as the system and the devices say it, and what is said where there is none left."""

from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from jax.errors import JaxRuntimeError

from edeline_jax.runtime import memory
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.memory import explained, peak_memory


def test_the_peak_of_the_host_is_what_the_system_says() -> None:
    """VmHWM is the same peak, in kB."""
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    assert peak_memory() == {"host_peak_bytes": pytest.approx(peak, rel=0.05)}  # and no devices: these are CPUs


def test_the_peak_of_the_devices_is_that_of_the_fullest(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [{"peak_bytes_in_use": 5, "bytes_in_use": 9}, {"peak_bytes_in_use": 8}, {"bytes_in_use": 11}, None]
    devices = [SimpleNamespace(memory_stats=lambda each=each: each) for each in said]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    assert peak_memory()["device_peak_bytes"] == 8


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (MemoryError("Unable to allocate 9 GiB"), True),
        (JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\nmore"), True),
        (JaxRuntimeError("INTERNAL: Failed to instantiate CUDA graph: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (JaxRuntimeError("FAILED_PRECONDITION: DNN library initialization failed. Look at the errors above"), True),
        (JaxRuntimeError("INTERNAL: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (JaxRuntimeError("INVALID_ARGUMENT: shapes differ"), False),
    ],
)
@pytest.mark.parametrize("platform", ["gpu", "cpu"])
def test_what_ran_out_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: Exception, full: bool, platform: str
) -> None:
    """Two runs on one GPU are a reason that a CPU does not have."""
    monkeypatch.setattr(memory.jax, "default_backend", lambda: platform)
    with pytest.raises(Exception) as raised, explained("lower the batch"):
        raise error
    if not full:
        assert raised.value is error
        return
    line = str(raised.value)
    assert isinstance(raised.value, UserError) and line.startswith(f"out of memory ({str(error).splitlines()[0]}); low")
    assert ("XLA_PYTHON_CLIENT_MEM_FRACTION=0.45" in line) == (platform == "gpu") and "\n" not in line
