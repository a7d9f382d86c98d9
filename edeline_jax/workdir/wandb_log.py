"""Sends metrics to wandb from a separate process, so that network trouble neither delays nor stops training."""

import importlib.util
import logging
import multiprocessing
import queue
import secrets
import signal
import tempfile
from collections.abc import Mapping
from typing import Any

from etils.epath import Path

from edeline_jax.config.schema import WandbConfig
from edeline_jax.runtime.errors import UserError, one_line
from edeline_jax.runtime.files import in_bucket
from edeline_jax.workdir.folder import RunFolder

_LOG = logging.getLogger(__name__)
MOST_LINES_WAITING = 30_000  # the queue's semaphore cannot count much further (SEM_VALUE_MAX is 32767 on macOS)
SECONDS_TO_FINISH = 30.0


def require_wandb(config: WandbConfig) -> None:
    """Raises UserError if the config asks for wandb and it is not installed."""
    if config.mode == "disabled":
        return
    spec = importlib.util.find_spec("wandb")
    if spec is None or spec.origin is None:  # without an origin it is a mere folder, as wandb itself leaves them
        raise UserError(
            f"wandb.mode={config.mode} needs wandb: pip install wandb, or --config.wandb.mode=disabled to do without"
        )


def init_settings(workdir: Path, config: WandbConfig, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `wandb.init` for the run in `workdir` with the config `resolved`."""
    return {
        "project": config.project,
        "entity": config.entity or None,
        "name": config.name or None,
        "group": config.group or None,
        "tags": config.tags or None,
        "notes": config.notes or None,
        "mode": config.mode,
        "dir": tempfile.gettempdir() if in_bucket(workdir) else str(workdir),
        "id": _run_id(workdir),
        "resume": "allow",
        "config": dict(resolved),
    }


class WandbLog:
    """Queues lines for wandb without blocking; if wandb fails, only its copy of the metrics is lost.

    The id of wandb's run is kept in the run folder, so that a resumed run continues it.
    """

    def __init__(self, workdir: Path, config: WandbConfig, resolved: Mapping[str, Any]):
        settings = init_settings(workdir, config, resolved)
        context = multiprocessing.get_context("spawn")  # forking a process with JAX's threads can deadlock
        self._lines = context.Queue(MOST_LINES_WAITING)
        self._lines.cancel_join_thread()  # unsent lines must not keep the program from exiting
        self._process = context.Process(target=_work, args=(settings, self._lines), daemon=True)
        self._process.start()

    def log(self, line: dict[str, float]) -> None:
        """Queues a line without blocking; drops it if the queue is full."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            _LOG.debug("wandb is too far behind: a line is dropped")

    def close(self) -> None:
        """Gives wandb `SECONDS_TO_FINISH` to send the rest, then kills its process."""
        try:
            self._lines.put_nowait(None)
            self._process.join(SECONDS_TO_FINISH)
        except queue.Full:
            pass
        if self._process.is_alive():
            _LOG.warning("wandb did not finish within %.0f s; metrics.jsonl is complete", SECONDS_TO_FINISH)
            self._process.kill()


def _work(settings: dict[str, Any], lines: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's to handle; it closes the log
    try:
        import wandb

        run = wandb.init(**settings)
        while (line := lines.get()) is not None:
            run.log(line)
        run.finish()
    except Exception as error:
        _LOG.warning("wandb failed (%s); metrics go on in metrics.jsonl alone", one_line(error))


def _run_id(workdir: Path) -> str:
    path = RunFolder(workdir).wandb_id
    if not path.exists():
        path.write_text(secrets.token_hex(4))
    return path.read_text().strip()
