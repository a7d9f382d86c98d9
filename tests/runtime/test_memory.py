"""The peak of memory, as the system and the devices say it."""

from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from edeline_jax.runtime.memory import peak_memory


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
