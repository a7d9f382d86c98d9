"""The actor-critic without a world model: the same rollout and loss, in real environments."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.actor_critic.rollout import PolicyDraws, RolloutState, host_scan, rollout
from edeline_jax.agent import Agent
from edeline_jax.config import Config
from edeline_jax.envs import VectorEnv
from edeline_jax.replay.frame import to_float
from edeline_jax.training.optimizer import make_optimizer
from edeline_jax.training.scoreboard import Game, Scoreboard
from edeline_jax.training.state import Learner
from edeline_jax.training.updates import Metrics, actor_critic_gradients, apply_gradients
from edeline_jax.world_model.imagination import Outcome


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
    learner: Learner, env: RealEnvironment, key: jax.Array, agent: Agent, config: Config
) -> tuple[Learner, Metrics]:
    """One update from `backup_every` real steps. Draws come from `fold_in(key, updates)`."""
    key = jax.random.fold_in(key, learner.updates)
    T, shape = config.actor_critic.loss.backup_every, (env.num_envs, agent.actor_critic.num_actions)
    draws = PolicyDraws(jax.random.gumbel(key, (T, *shape)), np.zeros(T))
    begin = env.rollout
    env.rollout, trajectory = rollout(learner.params, agent.actor_critic, env.step, begin, draws, scan=host_scan)
    return _update(learner, trajectory, begin.lstm, agent, config)


@functools.partial(jax.jit, static_argnums=(3, 4))
def _update(learner: Learner, trajectory: Any, lstm: Any, agent: Agent, config: Config) -> tuple[Learner, Metrics]:
    c = config.actor_critic
    grads, metrics = actor_critic_gradients(learner.params, agent.actor_critic, trajectory, lstm, c.loss, None)
    learner, grad_norm = apply_gradients(learner, grads, make_optimizer(c.optimizer))
    return learner, {**metrics, "grad_norm": grad_norm}
