"""The config of an existing run, to resume it or to start a similar one.

python -m edeline_jax.train --config=configs/run.py:outputs/2026-01-31/12-00-00 --workdir=outputs/2026-01-31/12-00-00
"""

import dataclasses

from ml_collections import ConfigDict

from edeline_jax.config import pour
from edeline_jax.runtime.files import to_path
from edeline_jax.workdir.folder import RunFolder


def get_config(run: str) -> ConfigDict:
    """Returns the resolved config of the run in folder `run`; keys that it lacks have their defaults."""
    return ConfigDict(dataclasses.asdict(pour(RunFolder(to_path(run)).read_config())))
