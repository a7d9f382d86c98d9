"""Metrics to wandb, in a thread of its own: whatever becomes of the network, training neither waits nor stops."""

import logging
import queue
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edeline_jax.config.schema import Wandb
from edeline_jax.errors import one_line

_LOG = logging.getLogger(__name__)
MOST_LINES_WAITING = 100_000
SECONDS_TO_FINISH = 30.0


class WandbLog:
    """Takes lines at once and hands them to wandb when wandb is ready; a failure is told once and costs only the copy.

    The id of wandb's run lies in the run folder, so that a resumed run goes on with it.
    """

    def __init__(self, workdir: Path, config: Wandb, resolved: Mapping[str, Any]):
        self._lines: queue.Queue[dict[str, float] | None] = queue.Queue(MOST_LINES_WAITING)
        self._thread = threading.Thread(target=self._work, args=(workdir, config, dict(resolved)), daemon=True)
        self._thread.start()

    def log(self, line: dict[str, float]) -> None:
        """Never waits; drops the line where too many are waiting already."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            _LOG.debug("wandb is too far behind: a line is dropped")

    def close(self) -> None:
        """Gives wandb some seconds to send what is left."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(SECONDS_TO_FINISH)
        if self._thread.is_alive():
            _LOG.warning("wandb did not finish within %.0f s; metrics.jsonl is complete", SECONDS_TO_FINISH)

    def _work(self, workdir: Path, config: Wandb, resolved: dict[str, Any]) -> None:
        try:
            import wandb  # takes seconds to import, and most runs do without

            run = wandb.init(
                project=config.project,
                entity=config.entity or None,
                name=config.name or None,
                group=config.group or None,
                mode=config.mode,
                dir=workdir,
                id=_run_id(workdir),
                resume="allow",
                config=resolved,
            )
            while (line := self._lines.get()) is not None:
                run.log(line)
            run.finish()
        except Exception as error:
            _LOG.warning("wandb failed (%s); metrics go on in metrics.jsonl alone", one_line(error))


def _run_id(workdir: Path) -> str:
    path = workdir / "wandb_id"
    if not path.exists():
        path.write_text(secrets.token_hex(4))
    return path.read_text().strip()
