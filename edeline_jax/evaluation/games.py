"""Plays whole games with the current policy, and keeps their first steps as a replay."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edeline_jax.acting.player import Player, stack
from edeline_jax.acting.scoreboard import Game
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay, replay_of
from edeline_jax.replay.chunk import Chunk


class PlayedGames(NamedTuple):
    """Finished games, and a replay of the first steps of each test environment."""

    games: list[Game]
    replay: Replay


def play_games(
    player: Player, params: Params, num_games: int, num_steps_replay: int, between: Callable[[int], None]
) -> PlayedGames:
    """Plays `num_games` new games; `between` is called before every step with the number played, and may raise to stop.

    Each environment gets a fixed number of games in advance, so that short games are not over-represented.
    """
    n = player.env.num_envs
    left = np.array([num_games // n + (i < num_games % n) for i in range(n)])
    games, plays = [], []
    player.reset()
    while left.any():
        between(len(games))
        play = player.step(params)
        if len(plays) < num_steps_replay:
            plays.append(play)
        for i, game in play.games:
            if left[i] > 0:
                left[i] -= 1
                games.append(game)
    return PlayedGames(games, _keep(stack(plays, player.finals), num_steps_replay))


def _keep(chunk: Chunk, num_steps: int) -> Replay:
    """Makes a replay whose episodes are whole games; in training, a lost life also ends an episode."""
    return replay_of(chunk._replace(starts=chunk.game_starts), num_steps)
