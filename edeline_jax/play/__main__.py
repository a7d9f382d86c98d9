"""Plays in the world model, in a browser: you or the policy, in a dream, in the real game, or side by side.

Usage: `python -m edeline_jax.play [--workdir=RUN | --agent=FILE] [--port=8080]`. An agent is `RUN/agents/EPOCH`,
`FILE.safetensors` or, with --config, the authors' `FILE.pt`; without a flag, the one that comes with the package. It
prints the address of the page.
"""

import importlib.util
import os
from collections.abc import Sequence

from absl import flags

from edeline_jax.config.files import define_flag
from edeline_jax.runtime import command_line
from edeline_jax.runtime.compilation_cache import keep_programs
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path

CONFIG = define_flag("Of the agent and its game, where the agent does not say it, or for another.")
WORKDIR = flags.DEFINE_string("workdir", "", "The run whose newest agent dreams and plays.")
AGENT = flags.DEFINE_string("agent", "", "The agent, if it is not the newest of a run.")
DATASET = flags.DEFINE_string("dataset", "", "Recorded episodes to begin from, if not those of the run.")
HOST = flags.DEFINE_string("host", "127.0.0.1", "The address to listen at; any but this asks for a token in the URL.")
PORT = flags.DEFINE_integer(
    "port", 8080, "The port to listen at; 0 takes a free one.", lower_bound=0, upper_bound=65535
)
MAX_SESSIONS = flags.DEFINE_integer("max_sessions", 8, "Visitors at a time.", lower_bound=1, upper_bound=100)
IDLE_MINUTES = flags.DEFINE_float(
    "idle_minutes", 10.0, "A visitor who does nothing so long has to go.", lower_bound=0.1
)
PACKAGES = ("starlette", "uvicorn", "websockets")


def main(argv: Sequence[str]) -> None:
    """Serves the agent that the flags name."""
    if len(argv) > 1 or (WORKDIR.value and AGENT.value):
        raise UserError("usage: python -m edeline_jax.play [--workdir=RUN | --agent=FILE] [--port=8080] [--help]")
    if missing := [name for name in PACKAGES if not importlib.util.find_spec(name)]:
        raise UserError(f"the page needs {', '.join(missing)}: pip install 'edeline-jax[play]'")
    from edeline_jax.agent.weights import read_agent
    from edeline_jax.config import pour
    from edeline_jax.play.app import House, make_app
    from edeline_jax.play.gate import make_gate
    from edeline_jax.play.server import directions, listen, serve
    from edeline_jax.play.stage import set_stage
    from edeline_jax.runtime import devices
    from edeline_jax.workdir.example import NAME, agent_path

    keep_programs()
    devices.require()
    with listen(HOST.value, PORT.value) as listening:  # before the minutes that compiling may take
        source = to_path(WORKDIR.value) if WORKDIR.value else agent_path(AGENT.value or NAME)
        weights = read_agent(source, None if CONFIG.value is None else pour(CONFIG.value))
        stage = set_stage(source, to_path(DATASET.value) if DATASET.value else None, weights, command_line.say)
        gate = make_gate(HOST.value)
        app = make_app(stage, gate, House(MAX_SESSIONS.value, 60 * IDLE_MINUTES.value))
        lines = directions(HOST.value, listening.getsockname()[1], gate.token, os.environ)
        try:
            serve(app, listening, command_line.say, lines)
        finally:
            stage.programs.close()


def cli() -> None:
    """The program with its flags."""
    command_line.run(main, CONFIG)


if __name__ == "__main__":
    cli()
