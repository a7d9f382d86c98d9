"""Plays whole games with a trained agent and says how well it does, or with --probe what its memory holds.

Usage: `python -m edeline_jax.evaluate (--workdir=RUN | --agent=FILE) [--probe]`. An agent is `RUN/agents/EPOCH`,
`FILE.safetensors`, `example`, which comes with the package, or, with --config, the authors' `FILE.pt`. Without --probe
the same command goes on where it was stopped.
"""

from collections.abc import Sequence

from absl import flags
from etils.epath import Path

from edeline_jax.config.files import define_flag
from edeline_jax.runtime import command_line
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path

CONFIG = define_flag("Of the agent and its game, where the agent does not say it, or for another.")
WORKDIR = flags.DEFINE_string("workdir", "", "The run whose newest agent plays.")
AGENT = flags.DEFINE_string("agent", "", "The agent that plays, if it is not the newest of a run.")
EPISODES = flags.DEFINE_integer("episodes", 100, "Games of the agent, and as many of random play.", lower_bound=1)
NUM_ENVS = flags.DEFINE_integer("num_envs", 16, "Games that are played at a time.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Of games and actions: equal seeds give equal games. Default: 0.", lower_bound=0)
JSON = flags.DEFINE_string("json", "", "File for the figures. Default: in the folder --output.")
PROBE = flags.DEFINE_bool("probe", False, "What can be read linearly from the memory, in place of scores.")
OUTPUT = flags.DEFINE_string(
    "output", "", "Folder for figures and films. Default: RUN/evaluation, beside FILE, or outputs/example."
)


def refresh_page(run: Path) -> None:
    """Writes the page of a run anew, on which its evaluations are, if it has one."""
    from edeline_jax.report.page.run_page import write_run_page
    from edeline_jax.report.runs import find_runs
    from edeline_jax.workdir.folder import RunFolder

    page = RunFolder(run).page
    if page.exists():
        for record in find_runs([run], command_line.warn):
            write_run_page(record, page)
        command_line.say(f"  {page}")


def main(argv: Sequence[str]) -> None:
    """Evaluates the agent that the flags name."""
    if len(argv) > 1 or bool(WORKDIR.value) == bool(AGENT.value):
        raise UserError("usage: python -m edeline_jax.evaluate (--workdir=RUN | --agent=FILE) [--help]")
    from edeline_jax.config import pour
    from edeline_jax.envs.game import GameError
    from edeline_jax.evaluation.exam import evaluate
    from edeline_jax.evaluation.probing import probe
    from edeline_jax.evaluation.rounds import Plan
    from edeline_jax.runtime import devices, memory
    from edeline_jax.runtime.interruption import Interrupted, Interruption
    from edeline_jax.workdir.example import agent_path
    from edeline_jax.workdir.folder import RunFolder

    devices.require()
    source = to_path(WORKDIR.value) if WORKDIR.value else agent_path(AGENT.value)
    if WORKDIR.value:
        RunFolder(source).read_config()  # which only a run has
    config = None if CONFIG.value is None else pour(CONFIG.value)
    plan = Plan(EPISODES.value, NUM_ENVS.value, SEED.value)
    interruption = Interruption()
    interruption.listen()

    def between() -> None:
        if interruption.requested:
            raise Interrupted

    try:
        examine = probe if PROBE.value else evaluate
        with memory.explained("lower --num_envs"):
            examine(source, config, plan, JSON.value, OUTPUT.value, between, command_line.say)
        refresh_page(source)
    except Interrupted:
        left = "nothing was kept" if PROBE.value else "the same command goes on with the games that are left"
        command_line.say(f"interrupted; {left}")
    except GameError as error:
        raise UserError(str(error)) from error


def cli() -> None:
    """The program with its flags."""
    command_line.run(main, CONFIG)


if __name__ == "__main__":
    cli()
