"""A real game beside the dream, with the policy looking on."""

from typing import NamedTuple

import jax
import numpy as np

from edeline_jax.actor_critic.chooser import Chooser
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.envs import make_env
from edeline_jax.nn.params import Params
from edeline_jax.play.start import Start


class RealStep(NamedTuple):
    """A step of the game."""

    frame: np.ndarray  # uint8 [H, W, 3]: that the action led to
    reward: float  # raw
    end: bool
    truncation: bool


class RealGame:
    """One environment, in which the policy has taken the first L - 1 steps; equal seeds begin alike.

    start: the L frames so far.
    frame: the newest, uint8 [H, W, 3].
    choice: the policy's action in it.
    policy, value: what the policy thinks of it, float32 [A] and a number.
    """

    def __init__(self, params: Params, agent: Agent, config: Config, seed: int, lives_end: bool):
        self._params = agent.actor_params(params)
        self._env = make_env(config.env, 1, seed, lives_end)
        self._chooser = Chooser(agent.actor, jax.random.key(seed))
        self._chooser.begin(1)
        self._look(self._env.reset())
        frames, actions = [self.frame], []
        while len(frames) < config.context:
            action = self.choice
            if self.step(action).end:
                frames, actions = [], []
            else:
                actions.append(action)
            frames.append(self.frame)
        self.start = Start(np.stack(frames), np.array([*actions, 0], np.int32), "real game")

    def step(self, action: int) -> RealStep:
        """Takes an action; a game that is over has begun anew afterwards."""
        actions = np.array([action], np.int32)
        self._chooser.take(self._params, actions)
        transition = self._env.step(actions)
        over = bool(transition.game_over[0])
        self._chooser.fresh |= over
        self._look(transition.obs)
        end, truncation = bool(transition.end[0]) or over, bool(transition.truncation[0])
        return RealStep(transition.final_obs[0], float(transition.reward[0]), end, truncation)

    def close(self) -> None:
        """Ends the environment."""
        self._env.close()

    def _look(self, frames: np.ndarray) -> None:
        choice = self._chooser.choose(self._params, frames)
        self.frame = frames[0]
        self.choice = int(choice.actions[0])
        logits = np.asarray(choice.logits[0], np.float64)
        odds = np.exp(logits - logits.max())
        self.policy, self.value = odds / odds.sum(), float(choice.values[0])
