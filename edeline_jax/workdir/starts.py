"""What every start of a run leaves about its machine and its versions."""

import datetime
import json
import os
import platform
from collections.abc import Sequence

import flax
import jax
import jaxlib

from edeline_jax import __version__
from edeline_jax.runtime.files import Lines
from edeline_jax.workdir.folder import RunFolder


def record_start(folder: RunFolder, devices: Sequence[jax.Device], env_steps: int) -> None:
    """Appends a line to `starts.jsonl`; `env_steps` are those before this start."""
    kind = f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"
    versions = {"edeline-jax": __version__, "Python": platform.python_version(), "JAX": jax.__version__}
    versions |= {"jaxlib": jaxlib.__version__, "Flax": flax.__version__}
    start = {
        "time": f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
        "env_steps": env_steps,
        "devices": f"{kind}, {os.cpu_count()} CPU cores",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    lines = Lines(folder.starts)
    lines.append(json.dumps(start))
    lines.flush()
