"""Single games behind the `VectorEnv` interface, stepped one after the other."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from edeline_jax.envs.vector import Transition, check_actions


class Moment(NamedTuple):
    """What an action led to."""

    frame: np.ndarray  # uint8 [size,size,3]; the last one of a game, too
    reward: float
    end: bool  # the game is over
    truncation: bool  # the time limit cuts it off
    measures: tuple[float, ...] = ()  # of the game so far, see `Family.measures`


class Game(Protocol):
    """One environment. Calls of `reset` and `step` alternate as a game needs it; the class seeds itself."""

    num_actions: int

    def reset(self) -> np.ndarray:
        """Starts a new game; returns its first frame, uint8 [size,size,3]."""

    def step(self, action: int) -> Moment:
        """Plays an action in [0, num_actions)."""

    def close(self) -> None:
        """Frees the game, its processes and files; may be called again."""


class InTurn:
    """N games, each reset within the step that ends it; see `VectorEnv`."""

    def __init__(self, games: Sequence[Game], size: int) -> None:
        self._games = games
        self.num_envs = len(games)
        self.num_actions = games[0].num_actions
        self.frame_shape = (size, size, 3)

    def reset(self) -> np.ndarray:
        """See `VectorEnv`."""
        return np.stack([game.reset() for game in self._games])

    def step(self, actions: np.ndarray) -> Transition:
        """See `VectorEnv`."""
        check_actions(actions, self)
        moments = [game.step(int(action)) for game, action in zip(self._games, actions, strict=True)]
        frames, rewards, ends, truncations, measures = zip(*moments, strict=True)
        final_obs = np.stack(frames)
        end, truncation = np.array(ends, bool), np.array(truncations, bool)
        over = end | truncation
        obs = final_obs.copy()
        for i in np.flatnonzero(over):
            obs[i] = self._games[i].reset()
        return Transition(obs, final_obs, np.array(rewards, np.float32), end, truncation, over, measures)

    def close(self) -> None:
        """See `VectorEnv`."""
        for game in self._games:
            game.close()
