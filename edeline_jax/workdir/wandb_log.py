"""Sends metrics and pictures to wandb from its own process, so network trouble neither delays nor stops training."""

import importlib.util
import io
import logging
import multiprocessing
import queue
import secrets
import signal
import tempfile
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from etils.epath import Path

from edeline_jax.config.schema import WandbConfig
from edeline_jax.runtime.errors import UserError, one_line
from edeline_jax.runtime.files import in_bucket, to_path
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
        self._put(line, [])

    def show(self, line: dict[str, float], pictures: Iterable[Path]) -> None:
        """Queues the paths of pictures, PNG and GIF, in the same way; `line` has the counters."""
        self._put(line, [str(path) for path in pictures])

    def flush(self) -> None:
        """Nothing to do: the other process sends what it gets."""

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

    def _put(self, line: dict[str, float], pictures: list[str]) -> None:
        try:
            self._lines.put_nowait((line, pictures))
        except queue.Full:
            _LOG.debug("wandb is too far behind: a line is dropped")


def _work(settings: dict[str, Any], lines: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's to handle; it closes the log
    try:
        import wandb

        run = wandb.init(**settings)
        while (item := lines.get()) is not None:
            line, pictures = item
            run.log(line | dict(_media(wandb, to_path(name)) for name in pictures))
        run.finish()
    except Exception as error:
        _LOG.warning("wandb failed (%s); metrics go on in metrics.jsonl alone", one_line(error))


def _media(wandb: ModuleType, path: Path) -> tuple[str, Any]:
    """A picture's name there, and what wandb shows: a GIF is a film."""
    content = io.BytesIO(path.read_bytes())  # the path may be in a bucket
    if path.suffix == ".gif":
        return f"films/{path.stem}", wandb.Video(content, format="gif")
    from PIL import Image

    return f"pictures/{path.stem}", wandb.Image(Image.open(content))


def _run_id(workdir: Path) -> str:
    path = RunFolder(workdir).wandb_id
    if not path.exists():
        path.write_text(secrets.token_hex(4))
    return path.read_text().strip()
