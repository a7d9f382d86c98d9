"""Metrics: names and values of one moment, as JSON lines in the run folder, and to wandb where it is wanted."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils.epath import Path

from edeline_jax.config.schema import Wandb
from edeline_jax.errors import UserError
from edeline_jax.files import Lines
from edeline_jax.training.progress import Progress
from edeline_jax.training.scoreboard import Game
from edeline_jax.training.wandb_log import WandbLog


class MetricsLog:
    """Appends to `metrics.jsonl`, and hands the same lines to wandb where its mode is not disabled."""

    def __init__(self, workdir: Path, config: Wandb, resolved: Mapping[str, Any]):
        self._path = workdir / "metrics.jsonl"
        self._lines = Lines(self._path)
        self._wandb = None if config.mode == "disabled" else WandbLog(workdir, config, resolved)

    def write(self, progress: Progress, updates: tuple[int, int], group: str, values: Mapping[str, float]) -> None:
        """Writes `group/name` values with the run's counters; `updates` of world model and actor-critic."""
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
        """Until what was written can be read in the run's folder."""
        self._lines.flush()

    def close(self) -> None:
        """Flushes, and lets wandb finish."""
        self.flush()
        if self._wandb is not None:
            self._wandb.close()

    def _append(self, line: str) -> None:
        try:
            self._lines.append(line)
        except OSError as error:
            raise UserError(
                f"cannot write {self._path}: {error.strerror}; checkpoints are intact: "
                "make room and start again with the same --workdir"
            ) from error


def summarize_updates(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Update metrics -> scalars.

    Each confusion matrix [true, predicted] becomes accuracy and mean recall of its classes.
    """
    scalars = {name: float(x) for name, x in metrics.items() if np.ndim(x) == 0 and name != "num_updates"}
    for name, counts in metrics.items():
        if np.ndim(counts) == 2:
            scalars |= _accuracies(name.removeprefix("confusion_"), np.asarray(counts))
    return scalars


def summarize_games(games: list[Game]) -> dict[str, float]:
    """Statistics of raw returns and lengths; nothing where no game ended."""
    if not games:
        return {}
    scores, lengths = zip(*games, strict=True)
    return {
        "return_mean": float(np.mean(scores)),
        "return_std": float(np.std(scores)),
        "return_min": min(scores),
        "return_max": max(scores),
        "length_mean": float(np.mean(lengths)),
        "num_games": len(games),
    }


def not_finite(metrics: Mapping[str, float]) -> list[str]:
    """Names of the values that are NaN or infinite."""
    return [name for name, value in metrics.items() if not math.isfinite(value)]


def _accuracies(name: str, counts: np.ndarray) -> dict[str, float]:
    present = counts.sum(1) > 0
    recall = np.diag(counts)[present] / counts.sum(1)[present]
    return {
        f"accuracy_{name}": np.trace(counts) / max(counts.sum(), 1e-9),
        f"recall_{name}": recall.mean() if present.any() else 0.0,
    }
