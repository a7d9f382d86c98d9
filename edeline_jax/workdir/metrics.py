"""Writes metrics as JSON lines into the run folder, and to wandb and TensorBoard if the config asks for it."""

import json
from collections.abc import Iterable, Mapping, Sequence

from etils.epath import Path

from edeline_jax.config import Config, to_dict
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import Lines
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.progress import Progress
from edeline_jax.workdir.tensorboard_log import TensorBoardLog
from edeline_jax.workdir.wandb_log import WandbLog


class MetricsLog:
    """Appends to `metrics.jsonl`; passes the same lines, and pictures, to wandb and TensorBoard where these are on."""

    def __init__(self, workdir: Path, config: Config, progress: Progress, history: Iterable[Mapping[str, float]]):
        """`progress` is where the run begins or goes on; `history` are the lines of what it has done so far."""
        self._folder = RunFolder(workdir)
        self._path = self._folder.metrics
        self._lines = Lines(self._path)
        self._copies: list[WandbLog | TensorBoardLog] = []
        if config.wandb.mode != "disabled":
            self._copies.append(WandbLog(workdir, config.wandb, to_dict(config)))
        if config.tensorboard:
            self._copies.append(TensorBoardLog(workdir, history, progress.env_steps, progress.wall_time))

    def write(self, progress: Progress, updates: tuple[int, int], group: str, values: Mapping[str, float]) -> None:
        """Writes the values as `group/name`, with the run's counters; `updates` of world model and actor-critic."""
        named = {f"{group}/{name}": float(value) for name, value in values.items()}
        line = _counters(progress, updates) | named
        self._append(json.dumps(line))
        for copy in self._copies:
            copy.log(line)

    def show(self, progress: Progress, updates: tuple[int, int], pictures: Sequence[Path]) -> None:
        """Passes on pictures that the run has drawn, PNG and GIF."""
        for copy in self._copies:
            copy.show(_counters(progress, updates), pictures)

    def flush(self) -> None:
        """Makes everything written so far readable in the run's folder."""
        self._lines.flush()
        for copy in self._copies:
            copy.flush()

    def close(self) -> None:
        """Flushes, and waits for wandb to finish."""
        self.flush()
        for copy in self._copies:
            copy.close()

    def _append(self, line: str) -> None:
        try:
            self._lines.append(line)
        except OSError as error:
            self._folder.refuse_if_gone()
            raise UserError(
                f"cannot write {self._path}: {error.strerror}; checkpoints are intact: "
                "make room and start again with the same --workdir"
            ) from error


def _counters(progress: Progress, updates: tuple[int, int]) -> dict[str, float]:
    return {
        "epoch": progress.epoch,
        "env_steps": progress.env_steps,
        "wall_time": progress.wall_time,  # not rounded: tells lines before a checkpoint from those after it
        "world_model_updates": updates[0],
        "actor_critic_updates": updates[1],
    }
