"""The processes of one run: joining them, and the collective operations between them.

Every process runs the same program on its share of the devices. All processes must call the collective functions, in
the same order. With a single process each of them returns at once.
"""

import os
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding

from edeline_jax.runtime import command_line, slurm
from edeline_jax.runtime.errors import UserError, one_line, shorten
from edeline_jax.runtime.roll_call import call_roll

SECONDS_TO_MEET = 300  # time for all processes to connect
SECONDS_WITHOUT_HEARTBEAT = 30  # after which a process counts as dead and the others end
TEXT_BYTES = 4096
ROWS = 64
COORDINATOR = "JAX_COORDINATOR_ADDRESS"
VARIABLES = {"num_processes": "JAX_NUM_PROCESSES", "process_id": "JAX_PROCESS_ID"}


def join(mode: str) -> None:
    """Connects to the other processes of a run; must come before any other use of JAX.

    SLURM is recognised, and by JAX TPU slices, GKE and MPI. Anywhere else, set `JAX_COORDINATOR_ADDRESS`,
    `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID`. A single process of SLURM has nobody to join, and keeps all its devices.

    Args:
      mode: `auto` joins if there is a cluster, `on` requires one, `off` runs a single process.

    Raises:
      UserError: there is no cluster, or the other processes did not connect.
    """
    if mode == "off":
        return
    step = slurm.step()
    if step is not None and step.num_processes == 1 and COORDINATOR not in os.environ:
        return
    try:
        arguments = _arguments(step)
        if {"coordinator_address", *VARIABLES} <= set(arguments):
            place = (arguments[name] for name in ("coordinator_address", "process_id", "num_processes"))
            call_roll(*place, SECONDS_TO_MEET, command_line.warn)
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=SECONDS_TO_MEET,
            heartbeat_timeout_seconds=SECONDS_WITHOUT_HEARTBEAT,
        )
    except UserError as error:
        raise UserError(f"--distributed={mode}: {error}; --distributed=off is a run of one process") from error
    except ValueError as error:  # JAX found no cluster
        if mode == "on" or COORDINATOR in os.environ:
            raise UserError(
                f"--distributed={mode}: no cluster was recognised ({one_line(error)}); set JAX_COORDINATOR_ADDRESS="
                "HOST:PORT, JAX_NUM_PROCESSES and JAX_PROCESS_ID, or --distributed=off"
            ) from error
    except RuntimeError as error:
        raise UserError(f"--distributed={mode}: the processes did not find each other ({one_line(error)})") from error


def _arguments(step: slurm.Step | None) -> dict[str, Any]:
    """What this process knows of `jax.distributed.initialize`'s arguments; the variables come before SLURM.

    JAX gives every process of SLURM one device. One that is alone on its node shall have all of them.
    """
    arguments = {} if step is None else step._asdict()
    if arguments.pop("alone", False):
        arguments["cluster_detection_method"] = "deactivate"
    arguments |= {name: int(os.environ[variable]) for name, variable in VARIABLES.items() if variable in os.environ}
    return arguments | ({"coordinator_address": os.environ[COORDINATOR]} if COORDINATOR in os.environ else {})


def is_main() -> bool:
    """Whether this is process 0, which writes the files and prints."""
    return jax.process_index() == 0


def share(total: int) -> int:
    """This process's share of `total`, which the number of processes must divide."""
    return total // jax.process_count()


def main_first(action: Callable[[], str]) -> str:
    """Runs `action` in the main process only; all processes return its result, or raise its UserError.

    The text is cut off at `TEXT_BYTES`.
    """
    failed = False
    text = ""
    if is_main():
        try:
            text = action()
        except UserError as error:
            failed = True
            text = str(error)
    if jax.process_count() > 1:
        encoded = text.encode()[:TEXT_BYTES]
        message = np.zeros(TEXT_BYTES + 1, np.uint8)
        message[0] = failed
        message[1 : 1 + len(encoded)] = np.frombuffer(encoded, np.uint8)
        message = multihost_utils.broadcast_one_to_all(message)
        failed = bool(message[0])
        text = bytes(message[1:]).rstrip(b"\0").decode(errors="ignore")
    if failed:
        raise UserError(text)
    return text


def any_process(flag: bool) -> bool:
    """Whether `flag` is true in any process."""
    return flag if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.array(flag)).any())


def from_main(number: int) -> int:
    """The main process's value of `number`, which must fit int32."""
    return int(arrays_from_main(np.int32(number)))


def arrays_from_main(arrays: Any) -> Any:
    """The main process's host arrays; the others' must have the same shapes."""
    return arrays if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(arrays)


def wait_for_all(name: str) -> None:
    """Blocks until every process has made the call with this name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def gather(arrays: Any) -> Any:
    """Concatenates the host arrays of all processes along axis 0, in process order; global arrays come back whole."""
    return arrays if jax.process_count() == 1 else multihost_utils.process_allgather(arrays, tiled=True)


def gather_rows(rows: np.ndarray) -> np.ndarray:
    """Concatenates the rows [n, k] of all processes; n may differ between them; float32.

    Rows are sent in blocks of a fixed size, since every new size would compile another program.
    """
    rows = rows.astype(np.float32)
    if jax.process_count() == 1:
        return rows
    counts = multihost_utils.process_allgather(np.array(len(rows)))
    blocks = np.zeros((1 + counts.max() // ROWS, ROWS, rows.shape[1]), np.float32)
    blocks.reshape(-1, rows.shape[1])[: len(rows)] = rows
    everywhere = np.concatenate([multihost_utils.process_allgather(block) for block in blocks], 1)
    return np.concatenate([part[:n] for part, n in zip(everywhere, counts, strict=True)])


def place(arrays: Any, sharding: NamedSharding) -> Any:
    """Makes global arrays from each process's host arrays, which become the part on its own devices."""
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), arrays)


def own_rows(x: jax.Array) -> np.ndarray:
    """The rows of a global array, split along axis 0 over all devices, that are on this process's devices."""
    shards = sorted(x.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return np.concatenate([np.asarray(shard.data) for shard in shards])


def refuse_disagreement(facts: Mapping[str, Any]) -> None:
    """Compares facts that must be the same in all processes.

    Raises:
      UserError: in all processes, if any differ; names the facts and the processes that differ from the main one.
    """
    if jax.process_count() == 1:
        return
    sums = np.array([zlib.crc32(repr(value).encode()) for value in [sorted(facts), *facts.values()]], np.uint32)
    counts = multihost_utils.process_allgather(np.array(len(sums)))
    if (counts == counts[0]).all():
        everywhere = multihost_utils.process_allgather(sums)
        different = everywhere != everywhere[0]
        names = [name for name, column in zip(["the names of keys", *facts], different.T, strict=True) if column.any()]
        processes = np.flatnonzero(different.any(1))
    else:
        names = ["the number of keys"]
        processes = np.flatnonzero(counts != counts[0])
    if names:
        own = "; ".join(f"{name} is {shorten(str(facts[name]))} here" for name in names[:3] if name in facts)
        raise UserError(
            f"the processes of this run disagree on {', '.join(names)} (process {', '.join(map(str, processes))} "
            f"differs from process 0; {own}): start all of them with the same program and flags"
        )
