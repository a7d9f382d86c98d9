"""The folder of a run: where it is, and whose config it holds."""

import datetime
import json
from pathlib import Path
from typing import Any

from edeline_jax.config import Config, ConfigError, to_dict


def open_workdir(workdir: str, config: Config) -> Path:
    """The run's folder with the resolved config in it; an empty name means `outputs/YYYY-MM-DD/hh-mm-ss`.

    Raises:
      ConfigError: the folder holds a run of another config.
    """
    now = datetime.datetime.now()
    folder = Path(workdir) if workdir else Path("outputs") / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}"
    folder.mkdir(parents=True, exist_ok=True)
    path, resolved = folder / "config.json", json.loads(json.dumps(to_dict(config)))
    if path.exists():
        changed = differences(json.loads(path.read_text()), resolved)
        if changed:
            raise ConfigError(f"{folder} holds a run of another config: {'; '.join(changed)}; choose another --workdir")
    path.write_text(json.dumps(resolved, indent=2) + "\n")
    return folder


def differences(old: Any, new: Any, key: str = "config") -> list[str]:
    """`key: old -> new` for every leaf of two nested dicts that differs."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{key}: {old} -> {new}"]
    keys = dict.fromkeys([*old, *new])
    return [line for k in keys for line in differences(old.get(k), new.get(k), f"{key}.{k}")]
