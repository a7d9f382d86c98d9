"""The processes that SLURM's `srun` started together."""

import os
import re
from typing import NamedTuple

VARIABLES = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")  # of JAX, too
FIRST_PORT, PORTS = 61440, 4096  # the upper end of those that no service is registered for


class Step(NamedTuple):
    """What `srun` says to a process.

    coordinator_address: HOST:PORT of process 0.
    alone: it is the only one on its node, so all devices there are its own. Others have one each.
    """

    coordinator_address: str
    num_processes: int
    process_id: int
    alone: bool


def step() -> Step | None:
    """What `srun` said to this process; None if something else started it."""
    env = os.environ
    if any(name not in env for name in VARIABLES):
        return None
    port = env.get("JAX_COORDINATOR_PORT") or FIRST_PORT + int(env["SLURM_JOB_ID"]) % PORTS
    number = int(env["SLURM_NTASKS"])
    return Step(
        f"{first_host(env['SLURM_STEP_NODELIST'])}:{port}",
        number,
        int(env["SLURM_PROCID"]),
        alone=number == int(env.get("SLURM_STEP_NUM_NODES", 1)),
    )


def first_host(nodes: str) -> str:
    """The first name of a list of SLURM's: "gpu003" of "gpu[003-007,9],big1"."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)[0]
    return re.sub(r"\[(\d+)[^\]]*\]", r"\1", first)
