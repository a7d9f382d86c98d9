"""Trains the actor-critic without a world model: the same rollout and loss, in real environments."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from edeline_jax.acting.collection import make_training_env
from edeline_jax.acting.real_environment import RealEnvironment
from edeline_jax.actor_critic.rollout import PolicyDraws, Trajectory, host_scan, rollout
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.learning.optimizer import grad_norms, make_optimizer
from edeline_jax.learning.programs import Dispatch, Pace
from edeline_jax.learning.scalars import not_finite
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import Learner, TrainState
from edeline_jax.learning.updates import Metrics, actor_critic_gradients, apply_gradients
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.replay.buffer import Replay
from edeline_jax.runtime import cluster
from edeline_jax.runtime.devices import AXIS, lift, local

Update = Callable[[Learner, Trajectory, LSTMState], tuple[Learner, Metrics]]


class ModelFreeProgram:
    """Trains the actor-critic on real steps; see `learning.programs.Program`."""

    def __init__(self, agent: Agent, config: Config, mesh: Mesh):
        self._agent = agent
        self._config = config
        self._update = build_update(agent, config, mesh)
        self._env: RealEnvironment | None = None
        self.pace = Pace()
        self.env_steps_per_update = config.actor_critic.loss.backup_every * config.env.num_envs

    @property
    def is_compiled(self) -> bool:
        """Whether there are environments: the first update in them compiles."""
        return self._env is not None

    def compile(self, state: TrainState, replay: Replay) -> str:
        """Makes the environments; see `Program`."""
        env_steps = int(state.actor_critic.updates) * self.env_steps_per_update
        self._env = RealEnvironment(make_training_env(self._config, env_steps), self._agent)
        return "it compiles with its first steps, in real environments"

    def run(self, state: TrainState, replay: Replay, num_updates: int) -> Iterator[Dispatch]:
        """See `Program`; the replay is not used."""
        if not self.is_compiled:
            self.compile(state, replay)
        while num_updates > 0:
            dispatch = self._dispatch(state, min(num_updates, self.pace.length()))
            state = dispatch.state
            num_updates -= dispatch.num_updates
            yield dispatch

    def _dispatch(self, state: TrainState, num_updates: int) -> Dispatch:
        begin = time.perf_counter()
        learner = state.actor_critic
        key = local(state.key)
        every = []
        while len(every) < num_updates and not (every and not_finite(every[-1])):
            learner, metrics = train_model_free(learner, self._env, key, self._update, self._agent, self._config)
            every.append(jax.device_get(metrics))
        seconds = time.perf_counter() - begin
        games = self._env.games
        self._env.games = []
        self.pace.count(seconds, len(every))
        means = jax.tree.map(lambda *values: np.mean(values), *every)
        return Dispatch(state._replace(actor_critic=learner), means, len(every), seconds, games)


def train_model_free(
    learner: Learner, env: RealEnvironment, key: jax.Array, update: Update, agent: Agent, config: Config
) -> tuple[Learner, Metrics]:
    """One update on `backup_every` real steps in the environments of all processes.

    Draws come from `key` with the update's number and the process's index folded in. `update`: see `build_update`.
    """
    key = jax.random.fold_in(jax.random.fold_in(key, int(learner.updates)), jax.process_index())
    T = config.actor_critic.loss.backup_every
    shape = (env.num_envs, agent.actor_critic.num_actions)
    draws = PolicyDraws(jax.random.gumbel(key, (T, *shape)), np.zeros(T))
    params = local(learner.params)
    begin = env.rollout
    env.rollout, trajectory = rollout(params, agent.actor_critic, env.step, begin, draws, scan=host_scan)
    return update(learner, trajectory, begin.lstm)


def build_update(agent: Agent, config: Config, mesh: Mesh) -> Update:
    """The update over the mesh; each process's environments are split over its devices."""
    setup = make_setup(agent, config, AXIS)
    specs = (P(), P(None, AXIS), P(AXIS))

    def per_device(learner: Learner, trajectory: Trajectory, lstm: LSTMState) -> tuple[Learner, Metrics]:
        grads, metrics = setup.total(actor_critic_gradients(learner.params, trajectory, lstm, setup))
        learner = apply_gradients(learner, grads, make_optimizer(config.actor_critic.optimizer))
        return learner, {**metrics, **grad_norms(grads)}

    program = lift(per_device, mesh, specs, P(), donate=0)

    def update(learner: Learner, *experience: Any) -> tuple[Learner, Metrics]:
        arrays = jax.device_get(experience)
        placed = [cluster.place(x, NamedSharding(mesh, spec)) for x, spec in zip(arrays, specs[1:], strict=True)]
        return program(learner, *placed)

    return update
