"""Converts an agent's weights between formats.

Usage: `python -m edeline_jax.convert FROM TO [--config=configs/atari.py:breakout]`; FROM and TO are a run (its folder
or `agents/EPOCH`), `FILE.safetensors` (one file, config included) or `FILE.pt` (the reference's `state_dict`). FROM may
also be a run of the authors' programs, or a `.pt` file in it; its `config/trainer.yaml` says what its networks are.
`example` is the agent that comes with the package.
"""

from collections.abc import Sequence

from edeline_jax.config.files import define_flag
from edeline_jax.runtime import command_line
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path

CONFIG = define_flag("Of the networks, if FROM does not say which they are.")


def main(argv: Sequence[str]) -> None:
    """Converts argv[1] into argv[2]."""
    if len(argv) != 3:
        raise UserError("usage: python -m edeline_jax.convert FROM TO [--config=configs/FILE.py:SPEC]")
    from edeline_jax.agent.weights import read_agent, write_weights
    from edeline_jax.config import pour
    from edeline_jax.workdir.example import agent_path

    source = agent_path(argv[1])
    target = to_path(argv[2])
    weights = read_agent(source, None if CONFIG.value is None else pour(CONFIG.value))
    write_weights(target, weights)
    size = sum(x.size for x in weights.tensors.values())
    command_line.say(f"{source} -> {target}: {len(weights.tensors)} tensors, {size:,} numbers")


def cli() -> None:
    """The program with its flags."""
    command_line.run(main, CONFIG)


if __name__ == "__main__":
    cli()
