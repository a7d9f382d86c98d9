"""Real environments for rollouts, in place of imagined ones."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.acting.scoreboard import Game, Scoreboard
from edeline_jax.actor_critic.rollout import RolloutState
from edeline_jax.agent.networks import Agent
from edeline_jax.envs import VectorEnv
from edeline_jax.envs.outcome import Outcome
from edeline_jax.replay.frame import to_float


class RealEnvironment:
    """A `VectorEnv` as the environment of rollouts.

    rollout: the state in which the next rollout begins; at first new games, with the LSTM at zeros.
    games: the games that have ended; the caller empties the list.
    """

    def __init__(self, env: VectorEnv, agent: Agent):
        self.num_envs = env.num_envs
        self.games: list[Game] = []
        self._env = env
        self._scoreboard = Scoreboard(env.num_envs)
        self.rollout = RolloutState(
            to_float(jnp.asarray(env.reset())), agent.actor_critic.init_state(env.num_envs), None
        )

    def step(self, state: None, action: jax.Array, draws: Any) -> tuple[None, Outcome]:
        """Steps every environment; see `Outcome`."""
        del draws  # the environment has its own random numbers
        result = self._env.step(np.asarray(action))
        ended = self._scoreboard.count(result.reward, result.game_over, result.measures)
        self.games += [game for _, game in ended]
        obs, final_obs = to_float(jnp.asarray(result.obs)), to_float(jnp.asarray(result.final_obs))
        burn_in = jnp.zeros((obs.shape[0], 0, *obs.shape[1:]))
        return state, Outcome(obs, final_obs, result.reward, result.end, result.truncation, burn_in)
