"""Lists the programs: `python -m edeline_jax`."""

from edeline_jax.runtime.command_line import say

PROGRAMS = {
    "train": "trains an agent, or resumes a run",
    "evaluate": "plays games with a trained agent, and scores them",
    "play": "plays in a trained agent's world model, in a browser",
    "report": "prints the scores of runs",
    "convert": "converts an agent's weights between formats",
    "dataset": "inspects, imports and exports recorded experience",
}


def main() -> None:
    """Prints a line for each program."""
    say("Programs of edeline-jax; each has --help:")
    for name, does in PROGRAMS.items():
        say(f"  python -m edeline_jax.{name:<8} {does}")


if __name__ == "__main__":
    main()
