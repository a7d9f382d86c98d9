"""Single games behind the `VectorEnv` interface, stepped one after the other or at the same time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from edeline_jax.envs.game import Game, GameError, account
from edeline_jax.envs.game_process import GameProcess
from edeline_jax.envs.vector import EnvSettings, Transition, check_actions, seeds


class Games:
    """N games, each reset within the step that ends it; see `VectorEnv`.

    A game that fails raises GameError.
    """

    def __init__(self, games: Sequence[Game], size: int, at_once: bool = False) -> None:
        """`at_once`: in a thread for each."""
        self._games = games
        self._pool = ThreadPoolExecutor(len(games)) if at_once else None
        self.num_envs = len(games)
        self.num_actions = games[0].num_actions
        self.frame_shape = (size, size, 3)

    def reset(self) -> np.ndarray:
        """See `VectorEnv`."""
        return np.stack(self._each({i: game.reset for i, game in enumerate(self._games)}))

    def step(self, actions: np.ndarray) -> Transition:
        """See `VectorEnv`."""
        check_actions(actions, self)
        moments = self._each({i: partial(self._games[i].step, action) for i, action in enumerate(actions.tolist())})
        frames, rewards, ends, truncations, measures = zip(*moments, strict=True)
        final_obs = np.stack(frames)
        end, truncation = np.array(ends, bool), np.array(truncations, bool)
        over = end | truncation
        obs = final_obs.copy()
        if over.any():
            finished = np.flatnonzero(over).tolist()
            obs[finished] = self._each({i: self._games[i].reset for i in finished})
        return Transition(obs, final_obs, np.array(rewards, np.float32), end, truncation, over, measures)

    def close(self) -> None:
        """See `VectorEnv`."""
        if self._pool is not None:
            self._pool.shutdown()
        for game in self._games:
            game.close()

    def _each(self, calls: dict[int, Callable[[], Any]]) -> list[Any]:
        """The results of the calls; the keys are the numbers of the games."""
        apply = map if self._pool is None else self._pool.map
        return list(apply(_attempt, calls, calls.values()))


def _attempt(number: int, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # a game may raise anything
        raise GameError(f"environment {number} failed: {account(error)}") from error


def make_games(make_game: Callable[[int], Game], settings: EnvSettings, num_envs: int, seed: int) -> Games:
    """N games of `make_game`, which takes a seed, stepped as `settings.workers` says.

    It goes to other processes, so it must be a function of a module, or a `functools.partial` of one.
    """
    if settings.workers == "processes":
        make_game = partial(GameProcess, make_game)
    return Games([make_game(one) for one in seeds(seed, num_envs)], settings.size, settings.workers != "in_turn")
