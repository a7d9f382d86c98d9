"""The start of a run, first or resumed.

The order:
  1. build mesh, networks and abstract state from the config alone; refuse sizes that cannot fit into memory;
  2. restore the newest readable checkpoint into that abstract state; if there is none, initialise a fresh state with
     the weights of the folder's newest agent, which a converted run has, or with those that `initialization` names;
  3. fill the replay: from the journal up to the checkpoint's position, or from the static dataset;
  4. create environments when they are first needed; worlds in JAX go on in the games of the journal, all others begin
     new ones, so episodes that were open at the checkpoint are cut off there;
  5. continue the open epoch where it stopped, then run the others.
"""

import math
from typing import NamedTuple

import jax
from etils.epath import Path
from jax.sharding import Mesh

from edeline_jax.acting.recorded import load_replay, replay_shapes
from edeline_jax.acting.replay_keeper import ReplayKeeper, empty_replay, keeps_finals, steps_per_env
from edeline_jax.agent.initialization import with_initial_weights, with_weights_of
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.dataset.arrays import MisfitError
from edeline_jax.dataset.episodes import Dataset
from edeline_jax.dataset.journal import Journal, files
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import STATE_SPEC, TrainState, init_state, state_shapes
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay, init_replay, num_shares, replay_spec
from edeline_jax.runtime.capacity import check_capacity, check_disk
from edeline_jax.runtime.devices import abstract, local, shardings
from edeline_jax.runtime.errors import ConfigError, UserError
from edeline_jax.workdir.checkpoints import Checkpoints
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.progress import Progress


class Start(NamedTuple):
    """The state in which a run begins, and the objects that save it."""

    state: TrainState
    replay: Replay
    progress: Progress
    resumed: bool
    agent: Path | None  # whose weights a run begins with that has agents, but no checkpoint
    checkpoints: Checkpoints
    keeper: ReplayKeeper | None  # None: nothing is collected


def start(
    agent: Agent, config: Config, mesh: Mesh, folder: RunFolder, dataset: Dataset | None, key: jax.Array
) -> Start:
    """Does steps 1 to 3; `key` initialises fresh weights.

    Raises:
      ConfigError: the state or the replay is too large, or checkpoint or journal belong to another config.
      UserError: there are checkpoints or steps, but none can be read; or steps, and the checkpoints are gone.
    """
    setup = make_setup(agent, config)
    shapes = state_shapes(setup)
    planned, steps = abstract(mesh, STATE_SPEC, shapes), _replay_shapes(config, mesh, dataset)
    place = folder.on_disk
    if config.replay.placement == "host":
        frames = jax.tree.leaves((steps.frames, steps.finals))
        check_disk(sum(x.size for x in frames) / jax.process_count(), place)
        steps = steps.table
    check_capacity(planned, steps, _test_replay_shapes(config), mesh)
    checkpoints = Checkpoints(folder.path, config.checkpointing)
    restored = checkpoints.restore(planned)
    newest_agent = None
    if restored is None:
        newest_agent = _agent_to_begin_with(folder)
        fresh = init_state(setup, key, shardings(mesh, STATE_SPEC, shapes))
        state, progress = fresh.with_params(_first_weights(newest_agent, fresh.params, config)), Progress()
    else:
        state, progress = restored
    if dataset is not None:
        replay, keeper = load_replay(dataset, mesh, config.replay.placement, place), None
    else:
        replay, keeper = _collected(config, mesh, folder, progress.replay_step, place)
    return Start(state, replay, progress, restored is not None, newest_agent, checkpoints, keeper)


def _agent_to_begin_with(folder: RunFolder) -> Path | None:
    """The newest agent; raises UserError if the checkpoints were taken away: a beginning would delete the steps."""
    if folder.newest_agent is not None and files(folder.replay):  # an agent is saved after a state
        raise UserError(
            f"{folder.path} has collected steps, but no checkpoint that says how far it was; nothing was changed: "
            f"bring {folder.checkpoints.name}/ back, or move {folder.replay.name}/ away to begin with the newest agent"
        )
    return folder.newest_agent


def _first_weights(agent: Path | None, params: Params, config: Config) -> Params:
    return with_initial_weights(params, config) if agent is None else with_weights_of(agent, params, config)


def _collected(
    config: Config, mesh: Mesh, folder: RunFolder, steps: int, place: str | None
) -> tuple[Replay, ReplayKeeper]:
    """The replay with the `steps` that the journal holds of every stream, and its keeper."""
    capacity = steps_per_env(config, steps)
    journal = Journal(folder.replay, config.env.num_envs, config.frame_shape)
    keeper = ReplayKeeper(config, mesh, journal, capacity)
    try:
        replay = keeper.restore(empty_replay(config, mesh, capacity, place), steps)
    except MisfitError as error:
        raise ConfigError(
            f"{error}: the steps that the run has collected do not fit config.env; take the change back or choose "
            "another --workdir"
        ) from error
    if steps and not int(local(replay.num_episodes)[0]):
        raise UserError(f"{folder.replay}: none of its files can be read; choose another --workdir")
    return replay, keeper


def _test_replay_shapes(config: Config) -> Replay | None:
    c = config.evaluation
    return _shapes(config, c.num_envs, c.num_steps_replay, 1) if config.has_env else None


def _replay_shapes(config: Config, mesh: Mesh, dataset: Dataset | None) -> Replay:
    if dataset is not None:
        shapes = replay_shapes(dataset, mesh.size)
    else:
        n = config.env.num_envs
        shapes = _shapes(config, n, steps_per_env(config), num_shares(n, mesh))
    return abstract(mesh, replay_spec(len(shapes.actions), mesh), shapes)


def _shapes(config: Config, num_streams: int, num_steps: int, num_devices: int) -> Replay:
    frame_size = math.prod(config.frame_shape)
    sizes = num_streams, num_steps, frame_size, num_devices
    return jax.eval_shape(lambda: init_replay(*sizes, keeps_finals(config)))
