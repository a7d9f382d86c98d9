"""The start of a run, first or resumed.

The order:
  1. build mesh, networks and abstract state from the config alone; refuse sizes that cannot fit into memory;
  2. restore the newest readable checkpoint into that abstract state; if there is none, initialise a fresh state with
     the weights that `initialization` names;
  3. fill the replay: from the journal up to the checkpoint's position, or from the static dataset;
  4. create environments when they are first needed; they always begin with new games, so episodes that were open at
     the checkpoint are cut off there;
  5. continue the open epoch where it stopped, then run the others.
"""

from typing import NamedTuple

import jax
from jax.sharding import Mesh

from edeline_jax.acting.recorded import load_replay, replay_shapes
from edeline_jax.acting.replay_keeper import ReplayKeeper, empty_replay
from edeline_jax.agent.initialization import with_initial_weights
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.dataset.episodes import Dataset
from edeline_jax.dataset.journal import Journal
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import STATE_SPEC, TrainState, init_state, state_shapes
from edeline_jax.replay.buffer import Replay
from edeline_jax.runtime.capacity import check_capacity
from edeline_jax.runtime.devices import abstract, local, shardings
from edeline_jax.runtime.errors import UserError
from edeline_jax.workdir.checkpoints import Checkpoints
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.progress import Progress


class Start(NamedTuple):
    """The state in which a run begins, and the objects that save it."""

    state: TrainState
    replay: Replay
    progress: Progress
    resumed: bool
    checkpoints: Checkpoints
    keeper: ReplayKeeper | None  # None: nothing is collected


def start(
    agent: Agent, config: Config, mesh: Mesh, folder: RunFolder, dataset: Dataset | None, key: jax.Array
) -> Start:
    """Does steps 1 to 3; `key` initialises fresh weights.

    Raises:
      ConfigError: the state or the replay is too large, or the checkpoint belongs to another config.
      UserError: there are checkpoints or steps, but none can be read.
    """
    setup = make_setup(agent, config)
    shapes = state_shapes(setup)
    check_capacity(shapes, _replay_shapes(config, mesh, dataset), mesh)
    checkpoints = Checkpoints(folder.path, config.checkpointing)
    restored = checkpoints.restore(abstract(mesh, STATE_SPEC, shapes))
    if restored is None:
        places = shardings(mesh, STATE_SPEC, shapes)
        fresh = init_state(setup, key, places)
        state = fresh.with_params(with_initial_weights(fresh.params, config))
        progress = Progress()
    else:
        state, progress = restored
    if dataset is not None:
        return Start(state, load_replay(dataset, mesh), progress, restored is not None, checkpoints, keeper=None)
    keeper = ReplayKeeper(config, mesh, Journal(folder.replay, config.env.num_envs, config.frame_shape))
    replay = keeper.restore(empty_replay(config, mesh), progress.replay_step)
    if progress.replay_step and not int(local(replay.num_episodes)[0]):
        raise UserError(f"{folder.replay}: none of its files can be read; choose another --workdir")
    return Start(state, replay, progress, restored is not None, checkpoints, keeper)


def _replay_shapes(config: Config, mesh: Mesh, dataset: Dataset | None) -> Replay:
    if dataset is not None:
        return replay_shapes(dataset, mesh.size)
    return jax.eval_shape(lambda: empty_replay(config, mesh))
