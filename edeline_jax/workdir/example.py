"""The trained agent that comes with the package: a finished run, with its agent as one file.

Every program that takes an agent or a run takes the word `example` for it; a file or folder of one's own that has this
name is `./example`. `boxing/README.md` says what it is of, how it was trained, and what it reaches.
"""

from etils.epath import Path

from edeline_jax.runtime.files import to_path

NAME = "example"
FOLDER = Path(__file__).parent / "boxing"
AGENT = FOLDER / "agent.safetensors"
OUTPUT = Path("outputs/example")  # for what programs find out about it: nothing is written into the package


def agent_path(name: str) -> Path:
    """The path of an agent that a user names; raises UserError as `to_path` does."""
    return AGENT if name == NAME else to_path(name)


def run_path(name: str) -> Path:
    """The path of a run or a folder of runs that a user names; raises UserError as `to_path` does."""
    return FOLDER if name == NAME else to_path(name)
