"""Tests: whole games with the current policy, and what the world model makes of them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from edeline_jax.acting.player import Play, Player, stack
from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay, replay_of
from edeline_jax.replay.sampling import sample_segments, sample_starts
from edeline_jax.world_model.loss import draw_loss, world_model_loss
from edeline_jax.world_model.prediction import one_step_errors


class Test(NamedTuple):
    """Finished games, and a replay of the first steps of each test environment."""

    games: list[Game]
    replay: Replay


def play_games(
    player: Player, params: Params, num_games: int, num_steps_replay: int, between: Callable[[], None]
) -> Test:
    """Plays `num_games` from fresh starts; `between` is called before every step and may raise to end it.

    They are shared out over the environments beforehand, so that short games are not preferred.
    """
    n = player.env.num_envs
    left = np.array([num_games // n + (i < num_games % n) for i in range(n)])
    games, plays = [], []
    player.reset()
    while left.any():
        between()
        play = player.step(params)
        if len(plays) < num_steps_replay:
            plays.append(play)
        for i, game in play.games:
            if left[i] > 0:
                left[i] -= 1
                games.append(game)
    return Test(games, _keep(plays, num_steps_replay))


def _keep(plays: list[Play], num_steps: int) -> Replay:
    """A replay of whole games: unlike in training, a lost life does not end an episode."""
    over = np.stack([play.transition.game_over for play in plays], 1)
    starts = np.concatenate([np.ones((len(over), 1), bool), over[:, :-1]], 1)
    return replay_of(stack(plays)._replace(starts=starts), num_steps)


@jax.jit(static_argnums=(3, 4))
def world_model_test(
    params: Params, replay: Replay, key: jax.Array, agent: Agent, config: Config
) -> dict[str, jax.Array]:
    """The world model's losses on unseen games, and its one-step pixel error beside that of repeating the last frame.

    Means over `evaluation.num_batches` batches; pixel errors are root mean squares, in levels of 0..255.
    """
    c, shape = config.world_model, config.frame_shape

    def losses(key: jax.Array) -> dict[str, jax.Array]:
        keys = jax.random.split(key, 5)
        batch = sample_segments(replay, keys[0], shape, c.training.batch_size, config.segment_length)
        draws = draw_loss(keys[1], keys[2], batch.frames.shape, config.context, c.loss)
        _, metrics = world_model_loss(params["world_model"], agent.world_model, batch, draws, c.loss, None)
        starts = sample_starts(replay, keys[3], shape, c.training.batch_size, config.context + 1)
        errors = one_step_errors(params["world_model"], agent.world_model, starts, keys[4], config.world_model_env)
        return metrics | dict(zip(("pixel_error", "pixel_error_repeat_last"), errors, strict=True))

    means = jax.lax.map(losses, jax.random.split(key, config.evaluation.num_batches))
    return jax.tree.map(lambda x: x.mean(0), means)
