"""Opens the folder of a run: takes its lock and compares the config with the one it holds."""

import contextlib
import datetime
import itertools
import json
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
from etils.epath import Path

from edeline_jax import __version__
from edeline_jax.config import Config, completed, leaves, to_dict
from edeline_jax.runtime import cluster
from edeline_jax.runtime.errors import ConfigError, UserError, one_line, shorten
from edeline_jax.runtime.files import to_path, write_json
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.lock import Claim, FileLock, lock, owner_of
from edeline_jax.workdir.tensorboard_log import require_tensorboard
from edeline_jax.workdir.wandb_log import require_wandb

# Keys that may change when a run is resumed: logging, evaluation, the length of the schedule, and where the replay and
# the environments are.
FREE = (
    "config.wandb",
    "config.tensorboard",
    "config.evaluation",
    "config.checkpointing",
    "config.training.should",
    "config.training.num_final_epochs",
    "config.collection.num_steps_total",
    "config.replay.placement",
    "config.env.workers",
)


class Workdir(NamedTuple):
    """An open run folder, on a disk or in a bucket; in a multi-process run only the main process holds the lock."""

    path: Path
    lock: FileLock | Claim | None
    config: dict[str, Any] | None = None  # to be written into it

    def keep_config(self) -> None:
        """Writes the config; not before the run has taken up what the folder holds, which it may not fit."""
        if self.config is not None:
            write_json(self.folder.config, self.config)

    @property
    def folder(self) -> RunFolder:
        """The paths in it."""
        return RunFolder(self.path)

    def check_lock(self) -> None:
        """Raises UserError in all processes of the run if the folder is gone or another start has taken it over."""
        cluster.main_first(self._check)

    def release(self) -> None:
        """Gives the folder up; a claim on a bucket stands until another start takes it."""
        if isinstance(self.lock, FileLock):
            self.lock.release()

    def _check(self) -> str:
        if self.lock is not None:
            self.lock.check()
        return ""


def open_workdir(name: str, config: Config, allowed: Collection[str], say: Callable[[str], None]) -> Workdir:
    """Creates or opens the run's folder; the resolved config comes later, see `Workdir.keep_config`.

    A run that has saved nothing yet starts again, whatever its config was.

    Args:
      name: the folder, or gs://BUCKET/FOLDER; empty means `outputs/YYYY-MM-DD/hh-mm-ss`.
      allowed: keys ("config.seed") that may change besides the free ones.
      say: called with a line for every key that changes.

    Raises:
      ConfigError: the folder holds a run whose config differs in other keys.
      UserError: another process is running there, the folder cannot be used, or wandb or TensorBoard's files are
        wanted and cannot be written.
    """
    require_wandb(config.wandb)
    require_tensorboard(config.tensorboard, to_path(name))
    try:
        folder = to_path(name) if name else _new_folder()
        folder.mkdir(parents=True, exist_ok=True)
        held = lock(folder)
    except UserError:
        raise
    except Exception as error:  # from the disk, or from the bucket's libraries
        reason = getattr(error, "strerror", None) or one_line(error)
        raise UserError(f"{name or 'outputs'}: cannot be used as --workdir ({reason})") from error
    resolved = _as_json(to_dict(config))
    run = RunFolder(folder)
    if run.config.exists() and _has_learnt(run):
        changed = differences(_as_json(completed(run.read_config())), resolved)
        _refuse_changes(folder, changed, {*allowed, *config.without_effect}, say)
    changes = config.training.should or not run.config.exists()  # evaluating a run does not change its config
    return Workdir(folder, held, resolved if changes else None)


def _new_folder() -> Path:
    """Another one for every start, also within a second."""
    base = to_path(f"outputs/{datetime.datetime.now():%Y-%m-%d/%H-%M-%S}")
    for number in itertools.count(1):
        folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError  # the numbers have no end


def open_shared_workdir(name: str, config: Config, allowed: Collection[str], say: Callable[[str], None]) -> Workdir:
    """`open_workdir` for all processes of a run: the main one opens the folder, and all must see it.

    Raises:
      UserError: in all processes; `open_workdir` failed, or a process does not see the folder.
    """
    opened: list[Workdir] = []

    def open_it() -> str:
        opened.append(open_workdir(name, config, allowed, say))
        return f"{opened[0].path}\n{owner_of(opened[0].path)}"

    path, owner = cluster.main_first(open_it).split("\n")
    folder = to_path(path)
    if cluster.any_process(owner_of(folder) != owner):
        raise UserError(
            f"{path}: not every process of this run sees it; --workdir must be on a disk that all hosts share (NFS), "
            "or in a bucket: gs://BUCKET/FOLDER"
        )
    return opened[0] if opened else Workdir(folder, None)


def run_facts(config: Config) -> dict[str, Any]:
    """Versions, devices and config keys that must be the same in all processes of a run."""
    versions = {"the JAX version": jax.__version__, "the edeline-jax version": __version__}
    return {**versions, "the number of local devices": jax.local_device_count(), **leaves(to_dict(config))}


def differences(old: Any, new: Any, key: str = "config") -> dict[str, str]:
    """key -> "old -> new" for every leaf of two nested dicts that differs."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return {} if old == new else {key: f"{shorten(str(old))} -> {shorten(str(new))}"}
    keys = dict.fromkeys([*old, *new])
    return {k: line for name in keys for k, line in differences(old.get(name), new.get(name), f"{key}.{name}").items()}


def _as_json(tree: Any) -> Any:
    """With lists in place of tuples."""
    return json.loads(json.dumps(tree))


def _has_learnt(folder: RunFolder) -> bool:
    return bool(folder.numbered(folder.checkpoints) or folder.numbered(folder.agents))


def _refuse_changes(
    folder: Path, changed: dict[str, str], allowed: Collection[str], say: Callable[[str], None]
) -> None:
    refused = [key for key in changed if not any(key == k or key.startswith(f"{k}.") for k in (*FREE, *allowed))]
    if refused:
        list_ = "; ".join(f"{key}: {changed[key]}" for key in refused)
        raise ConfigError(
            f"{folder} holds a run of another config: {list_}. Take it back, choose another --workdir, or if you know "
            f"what it does to the run: --allow_config_change={','.join(refused)}"
        )
    for key, change in changed.items():
        say(f"changed {key}: {change}")
