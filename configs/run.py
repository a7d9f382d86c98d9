"""The config of an existing run, to resume it or to start a similar one.

python -m edeline_jax.train --config=configs/run.py:outputs/2026-01-31/12-00-00 --workdir=outputs/2026-01-31/12-00-00
"""

from typing import Any

from ml_collections import ConfigDict

from edeline_jax.runtime.files import to_path
from edeline_jax.workdir.folder import RunFolder


def get_config(run: str) -> ConfigDict:
    """Returns the resolved config of the run in folder `run`."""
    return ConfigDict(_tuples(RunFolder(to_path(run)).read_config()))


def _tuples(value: Any) -> Any:
    """Turns lists back into tuples, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
