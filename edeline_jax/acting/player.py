"""Plays real environments with a policy; collection and tests both use it."""

from typing import NamedTuple

import jax
import numpy as np

from edeline_jax.acting.scoreboard import Game, Scoreboard
from edeline_jax.actor_critic.actor import Actor
from edeline_jax.actor_critic.chooser import Chooser
from edeline_jax.envs.vector import Transition, VectorEnv
from edeline_jax.nn.params import Params
from edeline_jax.replay.chunk import Chunk


class Play(NamedTuple):
    """One step of N environments: frames, actions, transition, and the games that ended with it."""

    frames: np.ndarray  # uint8 [N, H, W, 3]
    starts: np.ndarray  # bool [N]: the first step of an episode
    game_starts: np.ndarray  # bool [N]: that of a game
    actions: np.ndarray  # int32 [N]
    transition: Transition
    games: list[tuple[int, Game]]  # (environment, game)


class Player:
    """Steps environments with actions sampled from the policy, or uniformly at random with probability epsilon.

    What the actor remembers starts from zeros after the end of an episode, also if only a life was lost.
    """

    def __init__(self, env: VectorEnv, network: Actor, epsilon: float, key: jax.Array, finals: bool = False):
        """`finals`: whether chunks have them."""
        self.env = env
        self.finals = finals
        self._chooser = Chooser(network, key, epsilon)
        self.reset()

    def reset(self) -> None:
        """Starts new games in all environments."""
        n = self.env.num_envs
        self._frames = self.env.reset()
        self._chooser.begin(n)
        self._scoreboard = Scoreboard(n)
        self._new_games = np.ones(n, bool)

    def step(self, params: Params) -> Play:
        """Plays one step in all environments with the given parameters of the actor."""
        frames, starts, game_starts = self._frames, self._chooser.fresh, self._new_games
        actions = np.asarray(self._chooser.choose(params, frames).actions)
        self._chooser.take(params, actions)
        transition = self.env.step(actions)
        self._frames = transition.obs
        self._chooser.fresh = transition.end | transition.truncation
        self._new_games = transition.game_over
        games = self._scoreboard.count(transition.reward, transition.game_over, transition.measures)
        return Play(frames, starts, game_starts, actions, transition, games)

    def open_games(self) -> None:
        """Games outside JAX cannot be saved; see `CompiledPlayer`."""

    def play(self, params: Params, num_steps: int) -> tuple[Chunk, list[Game]]:
        """Plays some steps; returns them, and the games that ended."""
        plays = [self.step(params) for _ in range(num_steps)]
        return stack(plays, self.finals), [game for play in plays for _, game in play.games]


def stack(plays: list[Play], finals: bool = False) -> Chunk:
    """Stacks steps in time order into a chunk for the replay; `finals`: whether it has them."""
    return Chunk(
        frames=np.stack([p.frames for p in plays], 1),
        actions=np.stack([p.actions for p in plays], 1).astype(np.int32),
        rewards=np.stack([p.transition.reward for p in plays], 1),
        ends=np.stack([p.transition.end for p in plays], 1),
        truncations=np.stack([p.transition.truncation for p in plays], 1),
        starts=np.stack([p.starts for p in plays], 1),
        game_starts=np.stack([p.game_starts for p in plays], 1),
        finals=np.stack([_finals(p.transition) for p in plays], 1) if finals else None,
    )


def _finals(transition: Transition) -> np.ndarray:
    """What ends led to, uint8 [N, H, W, 3]; 0 elsewhere, which the journal compresses to nothing."""
    return np.where(transition.end[:, None, None, None], transition.final_obs, np.uint8(0))
