"""The player's server in a thread, on a free port."""

import contextlib
import threading
from collections.abc import Iterator

from edeline_jax.play.gate import Gate
from edeline_jax.play.server import listen
from edeline_jax.play.stage import Stage


@contextlib.contextmanager
def served(stage: Stage, max_sessions: int = 4) -> Iterator[str]:
    """Its address, "localhost:PORT"; at the end the stage's programs are closed, too."""
    import uvicorn

    from edeline_jax.play.app import House, make_app

    stage.programs.wait(stage.programs.sampler)
    app = make_app(stage, Gate(""), House(max_sessions, idle_seconds=600))
    with listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"localhost:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)
    stage.programs.close()
