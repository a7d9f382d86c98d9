"""Orbax checkpoints of a run: the full state, replay included, and the agent's weights alone."""

from pathlib import Path
from typing import Any, NamedTuple

import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import LatestN

from edeline_jax.agent import Params
from edeline_jax.config import Checkpointing
from edeline_jax.replay.buffer import Replay
from edeline_jax.training.state import TrainState


class Progress(NamedTuple):
    """Counters of a run, saved with its state."""

    epoch: int = 0
    final_epochs: int = 0  # epochs done since the last collected step
    replay_step: int = 0  # steps in each stream of the replay
    env_steps: int = 0
    wall_time: float = 0.0  # seconds of training so far, over all starts


class Checkpoints:
    """`checkpoints/EPOCH` holds the newest full state, `agents/EPOCH` weights of some epochs.

    Saves are written before the call returns: the next update gives its state's memory up.
    """

    def __init__(self, workdir: Path, config: Checkpointing):
        self._states = _manager(workdir / "checkpoints", keep=1)
        self._agents = _manager(workdir / "agents", keep=config.num_agents_to_keep)

    def save(self, state: TrainState, replay: Replay, progress: Progress) -> None:
        """Saves everything that a resume needs, and then deletes the state before it."""
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            replay=ocp.args.StandardSave(replay),
            progress=ocp.args.JsonSave(progress._asdict()),
        )
        self._states.save(progress.epoch, args=items, force=True)
        self._states.wait_until_finished()

    def save_agent(self, params: Params, epoch: int) -> None:
        """Saves the weights of both networks."""
        self._agents.save(epoch, args=ocp.args.StandardSave(params), force=True)
        self._agents.wait_until_finished()

    def restore(self, state: Any, replay: Any) -> tuple[TrainState, Replay, Progress] | None:
        """The newest full state, or None in a fresh folder.

        Args:
          state, replay: trees of `jax.ShapeDtypeStruct` with the shardings that the arrays shall have.
        """
        epoch = self._states.latest_step()
        if epoch is None:
            return None
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(state),
            replay=ocp.args.StandardRestore(replay),
            progress=ocp.args.JsonRestore(),
        )
        restored = self._states.restore(epoch, args=items)
        return restored.state, restored.replay, Progress(**restored.progress)

    def close(self) -> None:
        """Ends Orbax's threads."""
        self._states.close()
        self._agents.close()


def _manager(folder: Path, keep: int) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(preservation_policy=LatestN(keep))
    return ocp.CheckpointManager(folder.resolve(), options=options)
