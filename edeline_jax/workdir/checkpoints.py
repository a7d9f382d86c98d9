"""Orbax checkpoints of a run: the full state without the replay, and the agent's weights alone."""

import contextlib
import errno
import json
import logging
import os
import time
import zlib
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from etils.epath import Path
from orbax.checkpoint.checkpoint_managers import LatestN

from edeline_jax.config.schema import CheckpointingConfig
from edeline_jax.runtime import cluster
from edeline_jax.runtime.errors import ConfigError, UserError, one_line
from edeline_jax.runtime.files import absolute, files_below, move
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.progress import Progress

Shapes = dict[str, str]  # name of an array -> dtype and shape

# A field of the state -> its name in the checkpoints of earlier versions
EARLIER_NAMES = {"memory": "caches"}
_LOG = logging.getLogger(__name__)
# of the operating system, in the words of Orbax's readers; they may be gone at the next try
SYSTEM_FAILURES = [
    os.strerror(number)
    for number in (
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ESTALE,
        errno.ETIMEDOUT,
    )
]


class Checkpoints:
    """Saves and restores full states (`checkpoints/NUMBER`, in the order of saving) and weights (`agents/EPOCH`).

    Saving runs in the background, from a copy on the devices, because the next update donates the state's own memory.
    """

    def __init__(self, workdir: Path, config: CheckpointingConfig):
        self._folder = RunFolder(workdir)
        self._questions = 0
        self._states = _manager(self._folder.checkpoints, keep=config.num_states_to_keep)
        self._agents = _manager(self._folder.agents, keep=config.num_agents_to_keep)

    def save(self, state: Any, progress: Progress) -> None:
        """Begins to save everything that a resume needs, apart from the journal."""
        state = _copy(state)
        account = {
            "progress": progress._asdict(),
            "shapes": _shapes(state),
            "checksums": {name: int(x) for name, x in jax.device_get(_checksums(state)).items()},
        }
        account["crc32"] = _crc32(account)
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), account=ocp.args.JsonSave(account))
        with self._reporting():
            self._states.save((self._states.latest_step() or 0) + 1, args=items, force=True)

    def save_agent(self, params: Any, epoch: int) -> None:
        """Saves the weights of both networks; blocks until they are written.

        Never runs beside another save: the processes of a run number their synchronisation points, and two concurrent
        saves could number them in different orders.
        """
        self.wait()
        with self._reporting():
            if epoch not in self._agents.all_steps():  # an epoch repeated after a crash comes here twice
                self._agents.save(epoch, args=ocp.args.StandardSave(_copy(params)), force=True)
        self.wait()

    def restore(self, state: Any) -> tuple[Any, Progress] | None:
        """Reads the newest readable full state, or returns None if the folder has none; moves damaged ones aside.

        Damaged is one whose files can all be read, but do not hold what was saved.

        Args:
          state: a tree of `jax.ShapeDtypeStruct` with the wanted shardings.

        Raises:
          ConfigError: the saved arrays belong to another config.
          UserError: there are checkpoints, but all are damaged, or the operating system cannot read one.
        """
        numbers = sorted(self._states.all_steps(), reverse=True)
        for number in numbers:
            try:
                return self._read(number, state)
            except ConfigError:
                raise
            except Exception as error:  # Orbax and its readers raise many kinds on damaged files
                _refuse_failure_of_the_system(self._folder.checkpoints / str(number), error)
                self._set_aside(number, error)
        if numbers:
            raise UserError(
                f"no checkpoint in {self._states.directory} can be read; they were moved to "
                f"{self._folder.set_aside}: choose another --workdir to start again"
            )
        return None

    @property
    def newest(self) -> Path | None:
        """The folder of the newest full state on the disk."""
        with self._reporting():
            self._states.wait_until_finished()
        number = self._states.latest_step()
        return None if number is None else self._folder.checkpoints / str(number)

    def reached_preemption(self) -> bool:
        """Whether the cluster's scheduler has announced a pre-emption (JAX's pre-emption service, through Orbax).

        The processes agree on the number of the call at which to stop, so each must call this equally often.
        """
        self._questions += 1
        return self._states.reached_preemption(self._questions)

    def wait(self) -> None:
        """Blocks until everything is on the disk."""
        with self._reporting():
            self._states.wait_until_finished()
            self._agents.wait_until_finished()

    def close(self) -> None:
        """Waits for running saves and ends Orbax's threads."""
        self.wait()
        self._states.close()
        self._agents.close()

    def _read(self, number: int, state: Any) -> tuple[Any, Progress]:
        account = self._states.restore(number, args=ocp.args.Composite(account=ocp.args.JsonRestore())).account
        if account.pop("crc32") != _crc32(account):
            raise ValueError("its account is not what was saved")
        wanted = jax.tree.map(_shape_of_data, state)
        if _shapes(_under_earlier_names(wanted)).keys() == account["shapes"].keys():
            wanted = _under_earlier_names(wanted)
        _refuse_other_shapes(account["shapes"], _shapes(wanted), self._states.directory / str(number))
        progress = Progress.from_json(account["progress"])
        restored = self._states.restore(number, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted))).state
        damaged = [name for name, x in jax.device_get(_checksums(restored)).items() if x != account["checksums"][name]]
        if damaged:
            raise ValueError(f"{damaged[0]} is not what was saved")
        restored = jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(restored))
        return jax.tree.map(_wrapped, restored, state), progress

    def _set_aside(self, number: int, error: Exception) -> None:
        folder = self._folder.set_aside
        cluster.wait_for_all("a checkpoint is set aside")
        if cluster.is_main():
            folder.mkdir(exist_ok=True)
            _LOG.warning("checkpoint %d cannot be read (%s); moved to %s", number, one_line(error), folder)
            move(self._states.directory / str(number), folder / f"{number}-{time.time_ns()}")
        cluster.wait_for_all("a checkpoint was set aside")
        self._states.reload()

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # disk errors surface one save later, as OSError, ValueError or XlaRuntimeError
            reason = next((words for words in ("No space left", "File too large") if words in str(error)), None)
            if not reason and isinstance(error, jax.errors.JaxRuntimeError) and jax.process_count() > 1:
                raise  # another process has died
            self._folder.refuse_if_gone()
            raise UserError(
                f"cannot save to {self._folder.path} ({reason or one_line(error)}); earlier checkpoints are intact: "
                "make room and start again with the same --workdir"
            ) from error


def _refuse_failure_of_the_system(folder: Path, error: Exception) -> None:
    """Raises UserError if `error` says nothing about what is in the folder's files."""
    names = next((words for words in SYSTEM_FAILURES if words in str(error)), None)
    if names is None and not isinstance(error, (MemoryError, jax.errors.JaxRuntimeError)):
        try:
            for path in files_below(folder):
                path.read_bytes()
            return
        except Exception as failure:  # also those of a bucket's libraries
            error = failure
    raise UserError(
        f"{folder} cannot be read now ({names or one_line(error)}); nothing was changed: see to that, and start again "
        "with the same --workdir"
    ) from error


@jax.jit
def _copy(tree: Any) -> Any:
    """Copies a tree; keys become their data, since only Orbax's default array handler can save keys."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else jnp.copy(x), tree)


def _is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _shape_of_data(x: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """The shape under which `_copy` saves an array."""
    return jax.eval_shape(jax.random.key_data, x).update(sharding=x.sharding) if _is_key(x) else x


def _wrapped(x: jax.Array, wanted: jax.ShapeDtypeStruct) -> jax.Array:
    """Turns saved key data back into keys; other arrays stay as they are."""
    return jax.jit(jax.random.wrap_key_data, out_shardings=wanted.sharding)(x) if _is_key(wanted) else x


@jax.jit
def _checksums(tree: Any) -> dict[str, jax.Array]:
    """A checksum of every array by its path: a weighted sum modulo 2^32, independent of the devices.

    Every weight is odd, so a change of any single bit changes the sum.
    """

    def checksum(x: jax.Array) -> jax.Array:
        words = jax.lax.bitcast_convert_type(x, jnp.uint32).ravel()
        return (words * (2 * jnp.arange(words.size, dtype=jnp.uint32) + 1)).sum(dtype=jnp.uint32)

    return {jax.tree_util.keystr(path): checksum(x) for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def _crc32(account: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(account, sort_keys=True).encode())


def _under_earlier_names(tree: Any) -> Any:
    """The same leaves in the same order, in tuples with the fields that they had in earlier versions."""

    def is_renamed(x: Any) -> bool:
        return not EARLIER_NAMES.keys().isdisjoint(getattr(x, "_fields", ()))

    def rename(x: Any) -> Any:
        return namedtuple("Earlier", [EARLIER_NAMES.get(name, name) for name in x._fields])(*x) if is_renamed(x) else x

    return jax.tree.map(rename, tree, is_leaf=is_renamed)


def _shapes(tree: Any) -> Shapes:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): f"{x.dtype}{list(x.shape)}" for path, x in leaves}


def _refuse_other_shapes(saved: Shapes, wanted: Shapes, folder: Path) -> None:
    names = [name for name in dict.fromkeys([*saved, *wanted]) if saved.get(name) != wanted.get(name)]
    if names:
        name = names[0]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise ConfigError(
            f"{folder} does not fit the config: {name} is {saved.get(name)}, expected {wanted.get(name)}{more}; "
            "take the change back or choose another --workdir"
        )


def _manager(folder: Path, keep: int) -> ocp.CheckpointManager:
    # One device writes each replicated array: splitting the write over devices would compile a program per piece.
    handler = ocp.type_handlers.ArrayHandler(use_replica_parallel=False)
    ocp.type_handlers.register_type_handler(jax.Array, handler, override=True)
    options = ocp.CheckpointManagerOptions(preservation_policy=LatestN(keep), cleanup_tmp_directories=True)
    return ocp.CheckpointManager(absolute(folder), options=options)
