"""The actor-critic without a world model: the same rollout and loss, in real environments."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from edeline_jax.acting.scoreboard import Game, Scoreboard
from edeline_jax.actor_critic.rollout import PolicyDraws, RolloutState, Trajectory, host_scan, rollout
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.envs import VectorEnv
from edeline_jax.envs.outcome import Outcome
from edeline_jax.learning.optimizer import make_optimizer
from edeline_jax.learning.state import Learner
from edeline_jax.learning.updates import Metrics, actor_critic_gradients, apply_gradients, total
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.replay.frame import to_float
from edeline_jax.runtime import cluster
from edeline_jax.runtime.devices import AXIS, lift, local

Update = Callable[[Learner, Trajectory, LSTMState], tuple[Learner, Metrics]]


class RealEnvironment:
    """A `VectorEnv` as the environment of rollouts.

    rollout: where the next rollout begins; at first new games everywhere, the LSTM at zeros.
    games: those that ended.
    """

    def __init__(self, env: VectorEnv, agent: Agent):
        self.num_envs = env.num_envs
        self.games: list[Game] = []
        self._env, self._scoreboard = env, Scoreboard(env.num_envs)
        self.rollout = RolloutState(
            to_float(jnp.asarray(env.reset())), agent.actor_critic.init_state(env.num_envs), None
        )

    def step(self, state: None, action: jax.Array, draws: Any) -> tuple[None, Outcome]:
        """One step of every environment; see `Outcome`."""
        del draws  # the environment is its own source of chance
        result = self._env.step(np.asarray(action))
        self.games += [game for _, game in self._scoreboard.count(result.reward, result.game_over)]
        obs, final_obs = to_float(jnp.asarray(result.obs)), to_float(jnp.asarray(result.final_obs))
        burn_in = jnp.zeros((obs.shape[0], 0, *obs.shape[1:]))
        return state, Outcome(obs, final_obs, result.reward, result.end, result.trunc, burn_in)


def train_model_free(
    learner: Learner, env: RealEnvironment, key: jax.Array, update: Update, agent: Agent, config: Config
) -> tuple[Learner, Metrics]:
    """One update from `backup_every` real steps in the environments of all processes.

    Draws come from `fold_in(key, updates)`, each process's own from its number; `update` is of `build_update`.
    """
    key = jax.random.fold_in(jax.random.fold_in(key, int(learner.updates)), jax.process_index())
    T, shape = config.actor_critic.loss.backup_every, (env.num_envs, agent.actor_critic.num_actions)
    draws = PolicyDraws(jax.random.gumbel(key, (T, *shape)), np.zeros(T))
    params, begin = local(learner.params), env.rollout
    env.rollout, trajectory = rollout(params, agent.actor_critic, env.step, begin, draws, scan=host_scan)
    return update(learner, trajectory, begin.lstm)


def build_update(agent: Agent, config: Config, mesh: Mesh) -> Update:
    """The update over the mesh, whose devices share the environments of their processes."""
    c, specs = config.actor_critic, (P(), P(None, AXIS), P(AXIS))

    def per_device(learner: Learner, trajectory: Trajectory, lstm: LSTMState) -> tuple[Learner, Metrics]:
        shares = actor_critic_gradients(learner.params, agent.actor_critic, trajectory, lstm, c.loss, AXIS)
        grads, metrics = total(shares, AXIS)
        learner, grad_norm = apply_gradients(learner, grads, make_optimizer(c.optimizer))
        return learner, {**metrics, "grad_norm": grad_norm}

    program = lift(per_device, mesh, specs, P(), donate=0)

    def update(learner: Learner, *experience: Any) -> tuple[Learner, Metrics]:
        arrays = jax.device_get(experience)
        placed = [cluster.place(x, NamedSharding(mesh, spec)) for x, spec in zip(arrays, specs[1:], strict=True)]
        return program(learner, *placed)

    return update
