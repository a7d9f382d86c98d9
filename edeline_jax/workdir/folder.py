"""The layout of a run's folder; no other module knows the names in it."""

import json
import os
from dataclasses import dataclass
from typing import Any

from etils.epath import Path

from edeline_jax.runtime.errors import UserError, one_line
from edeline_jax.runtime.files import in_bucket

PROBE = "-probe"  # ends the name of the figures of a probe


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run's folder, on a disk or in a bucket; none of them need exist."""

    path: Path

    @property
    def on_disk(self) -> str | None:
        """The folder itself, unless it is in a bucket."""
        return None if in_bucket(self.path) else str(self.path)

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """The metrics, as JSON lines."""
        return self.path / "metrics.jsonl"

    @property
    def starts(self) -> Path:
        """Machine and versions of every start of the run, as JSON lines."""
        return self.path / "starts.jsonl"

    @property
    def summary(self) -> Path:
        """The final scores and counters; written last, so it marks the run as finished."""
        return self.path / "summary.json"

    @property
    def checkpoints(self) -> Path:
        """Full states, one folder each, numbered in the order of saving."""
        return self.path / "checkpoints"

    @property
    def agents(self) -> Path:
        """Weights alone, one folder each, numbered by epoch."""
        return self.path / "agents"

    @property
    def replay(self) -> Path:
        """The journal of the collected steps."""
        return self.path / "replay"

    @property
    def report(self) -> Path:
        """Pictures: learning curves and films."""
        return self.path / "report"

    @property
    def tensorboard(self) -> Path:
        """Event files for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def page(self) -> Path:
        """The report as one file."""
        return self.report / "index.html"

    @property
    def exams(self) -> Path:
        """What `edeline_jax.evaluate` leaves."""
        return self.path / "evaluation"

    @property
    def exam_cards(self) -> list[Path]:
        """The figures of the evaluations, by name; those of probes lie beside them."""
        return sorted(path for path in self.exams.glob("*.json") if not path.stem.endswith(PROBE))

    @property
    def set_aside(self) -> Path:
        """Damaged checkpoints."""
        return self.path / "set_aside"

    @property
    def lock(self) -> Path:
        """A file that names the process running here."""
        return self.path / "lock"

    @property
    def wandb_id(self) -> Path:
        """The id of wandb's run."""
        return self.path / "wandb_id"

    def profile(self, network: str) -> Path:
        """The trace of a few updates of a network."""
        return self.path / "profile" / network

    def not_finite(self, network: str, update: int) -> Path:
        """The batch of an update whose loss or gradient was not finite."""
        return self.path / f"not_finite_{network}_{update}.npz"

    @property
    def newest_agent(self) -> Path | None:
        """The weights of the latest epoch in `agents`."""
        epochs = self.numbered(self.agents)
        return self.agents / str(epochs[-1]) if epochs else None

    def numbered(self, folder: Path) -> list[int]:
        """Numbers of the states in `checkpoints`, or of the epochs in `agents`, in order."""
        return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())

    def refuse_if_gone(self, opened: int | None = None) -> None:
        """Raises UserError if the folder is no longer there, or is not the one of the open descriptor."""
        there = self.path.exists()
        if not there or (opened is not None and not os.path.samestat(os.stat(self.path), os.fstat(opened))):
            raise UserError(f"{self.path} is gone: it was deleted, moved or unmounted while the run was going on")

    def read_config(self) -> Any:
        """The resolved config as nested dicts; raises UserError if it cannot be read."""
        try:
            return json.loads(self.config.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(
                f"{self.config}: cannot be read ({one_line(error)}); it must be the config of a run"
            ) from error
