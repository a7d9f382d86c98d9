"""Writes metrics as JSON lines into the run folder, and to wandb if the config asks for it."""

import json
from collections.abc import Mapping
from typing import Any

from etils.epath import Path

from edeline_jax.config.schema import WandbConfig
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import Lines
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.progress import Progress
from edeline_jax.workdir.wandb_log import WandbLog


class MetricsLog:
    """Appends to `metrics.jsonl`, and passes the same lines to wandb unless its mode is disabled."""

    def __init__(self, workdir: Path, config: WandbConfig, resolved: Mapping[str, Any]):
        self._folder = RunFolder(workdir)
        self._path = self._folder.metrics
        self._lines = Lines(self._path)
        self._wandb = None if config.mode == "disabled" else WandbLog(workdir, config, resolved)

    def write(self, progress: Progress, updates: tuple[int, int], group: str, values: Mapping[str, float]) -> None:
        """Writes the values as `group/name`, with the run's counters; `updates` of world model and actor-critic."""
        line = {
            "epoch": progress.epoch,
            "env_steps": progress.env_steps,
            "wall_time": round(progress.wall_time, 3),
            "world_model_updates": updates[0],
            "actor_critic_updates": updates[1],
            **{f"{group}/{name}": float(value) for name, value in values.items()},
        }
        self._append(json.dumps(line))
        if self._wandb is not None:
            self._wandb.log(line)

    def flush(self) -> None:
        """Makes everything written so far readable in the run's folder."""
        self._lines.flush()

    def close(self) -> None:
        """Flushes, and waits for wandb to finish."""
        self.flush()
        if self._wandb is not None:
            self._wandb.close()

    def _append(self, line: str) -> None:
        try:
            self._lines.append(line)
        except OSError as error:
            self._folder.refuse_if_gone()
            raise UserError(
                f"cannot write {self._path}: {error.strerror}; checkpoints are intact: "
                "make room and start again with the same --workdir"
            ) from error
