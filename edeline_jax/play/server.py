"""Serves the page, and says where it is."""

import contextlib
import getpass
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from edeline_jax.play.gate import LOOPBACK
from edeline_jax.play.messages import MOST_PICTURE_BYTES
from edeline_jax.runtime.errors import UserError, refusal

SHUTDOWN = 3  # s, for pages that are open


def listen(host: str, port: int) -> socket.socket:
    """The socket of the server; raises UserError if the port or the address is not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = refusal(error).split(" (")[0]  # Python repeats the address there
        raise UserError(f"--host={host} --port={port}: {reason}; another --port may be free") from error


def directions(host: str, port: int, token: str, environment: Mapping[str, str]) -> list[str]:
    """Where the page is, and over ssh the tunnel that leads there."""
    is_local = host in LOOPBACK
    name = "localhost" if is_local else socket.gethostname() if host in ("0.0.0.0", "::") else host
    name = f"[{name}]" if ":" in name else name
    query = f"?token={token}" if token else ""
    lines = [f"open http://{name}:{port}/{query}"]
    connection = environment.get("SSH_CONNECTION", "").split()
    if is_local and len(connection) == 4:
        server, ssh_port = connection[2:]
        option = "" if ssh_port == "22" else f" -p {ssh_port}"
        lines.insert(0, f"on your own machine: ssh -N -L {port}:localhost:{port}{option} {_user()}@{server}")
    return lines


def serve(app: Any, listening: socket.socket, say: Callable[[str], None], lines: list[str]) -> None:
    """Serves until a signal ends it."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        ws_max_size=MOST_PICTURE_BYTES + 1,
        ws_max_queue=8,
        timeout_graceful_shutdown=SHUTDOWN,
        limit_concurrency=200,
    )
    say("\n".join(lines))
    with contextlib.suppress(KeyboardInterrupt):  # which uvicorn passes on once it has ended
        uvicorn.Server(config).run(sockets=[listening])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may have no name for it
        return os.environ.get("USER", "user")
