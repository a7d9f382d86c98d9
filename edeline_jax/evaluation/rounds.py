"""Games in rounds: one in every environment, so that a game's number and seed are known before it is played."""

import contextlib
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

import numpy as np

from edeline_jax.acting.scoreboard import Game, Scoreboard
from edeline_jax.envs import VectorEnv, env_seed
from edeline_jax.evaluation.actors import Actor
from edeline_jax.evaluation.round_log import RoundLog

PURPOSE = 2  # of these environments, as a part of their seeds: 0 is collection's, 1 is that of a run's tests


class Plan(NamedTuple):
    """Which games are played: game g is that of environment g % num_envs in round g // num_envs."""

    num_games: int
    num_envs: int
    seed: int

    def rounds(self) -> Iterable[tuple[int, int]]:
        """(round, number of its games), in order; only the last may have less than one in each environment."""
        for first in range(0, self.num_games, self.num_envs):
            yield first // self.num_envs, min(self.num_envs, self.num_games - first)


class Rounds:
    """The rounds of one actor: each in new environments and with a reset actor, so none depends on those before it."""

    def __init__(
        self,
        name: str,
        actor: Actor,
        make_env: Callable[[int], VectorEnv],
        plan: Plan,
        between: Callable[[], None] = lambda: None,
    ):
        """`make_env` takes a seed; `between` is called before every step and may raise to stop."""
        self.name = name
        self._actor = actor
        self._make_env = make_env
        self._plan = plan
        self._between = between

    def play(self, log: RoundLog, say: Callable[[str], None]) -> list[Game]:
        """All games of the plan, in the order of their numbers; those in the log are not played again."""
        games: list[Game] = []
        for number, size in self._plan.rounds():
            played = log.games(self.name, number)[:size]
            if len(played) < size:
                played = list(self._round(number, range(size)).values())
                log.add(self.name, number, played)
            games += played
            mean = np.mean([game.score for game in games])
            say(f"{self.name}: {len(games)} of {self._plan.num_games} games, mean return {mean:.2f}")
        return games

    def film(self, number: int, length: int, most: int) -> tuple[Game, np.ndarray]:
        """Plays game `number`, of `length` steps, again.

        Returns:
          The game, and its frames, uint8 [T, H, W, 3], from the first to the one it ends with: every k-th, so that
          they are no more than `most`.
        """
        number, i = divmod(number, self._plan.num_envs)
        stride = -(-(length + 1) // most)
        film: list[np.ndarray] = []

        def watch(step: int, frames: np.ndarray) -> None:
            if step % stride == 0:
                film.append(frames[i])

        return self._round(number, [i], watch)[i], np.stack(film)

    def _round(
        self, number: int, wanted: Collection[int], watch: Callable[[int, np.ndarray], None] = lambda step, frames: None
    ) -> dict[int, Game]:
        seed = env_seed(self._plan.seed, PURPOSE, number)
        self._actor.reset(seed=seed)
        with contextlib.closing(self._make_env(seed)) as env:
            return play_round(env, self._actor, wanted, self._between, watch)


def play_round(
    env: VectorEnv,
    actor: Actor,
    wanted: Collection[int],
    between: Callable[[], None] = lambda: None,
    watch: Callable[[int, np.ndarray], None] = lambda step, frames: None,
) -> dict[int, Game]:
    """The first game of each of the environments `wanted`, until all are over; the others are stepped, but not counted.

    Args:
      between: called before every step; may raise to stop.
      watch: called with 0 and the first frames, then with the number of each step and the frames that it led to.
    """
    finished: dict[int, Game] = {}
    scoreboard = Scoreboard(env.num_envs)
    frames = env.reset()
    watch(0, frames)
    step = 0
    while len(finished) < len(wanted):
        between()
        transition = env.step(actor.act(frames))
        frames, step = transition.obs, step + 1
        watch(step, transition.final_obs)
        for i, game in scoreboard.count(transition.reward, transition.game_over, transition.measures):
            if i in wanted:
                finished.setdefault(i, game)
    return {i: finished[i] for i in wanted}
