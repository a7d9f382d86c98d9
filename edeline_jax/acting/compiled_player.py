"""Plays worlds written in JAX: many steps of the policy and of all environments in one call of a compiled program."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.acting.open_games import OpenGames, fit, named, restored
from edeline_jax.acting.scoreboard import Game, Scoreboard
from edeline_jax.actor_critic.actor import Actor
from edeline_jax.actor_critic.choice import choose
from edeline_jax.envs.in_jit import InJit, World, reset_all, step_all
from edeline_jax.nn.params import Params
from edeline_jax.replay.chunk import Chunk

MOST_STEPS = 8_192  # of all environments in one call; their frames of 64 x 64 take 100 MB, finals as much again


class CompiledPlayer:
    """Plays what `Player` plays in the same environments with the same key, up to how programs round.

    env: says which world, how many, and their key; its own games are not touched.
    """

    def __init__(
        self,
        env: InJit,
        network: Actor,
        epsilon: float,
        key: jax.Array,
        length: int,
        saved: Mapping[str, np.ndarray] | None = None,
        finals: bool = False,
    ):
        """Begins new games, or goes on in those of an earlier player of the same environments.

        Args:
          length: the most steps of each environment in one call; a call of any number is the same program.
          saved: `open_games` of the earlier player; empty if there was none. It must have had the same keys.
          finals: whether chunks have them.
        """
        self.env = env
        self._network = network
        self._epsilon = epsilon
        self._keys = key, env.key
        self._finals = finals
        self._length = max(1, min(length, MOST_STEPS // env.num_envs))
        self._scoreboard = Scoreboard(env.num_envs)
        self._step = int(saved["steps"][0]) if saved else 0
        like = jax.eval_shape(self._begin)
        if saved and fit(saved, like):
            self._scoreboard.restore(saved["scores"], saved["lengths"])
        else:
            saved = jax.device_get(named(self._begin()))
        # without weak types, and where the parameters are: else the program of the first call were not that of the next
        self._games = jax.device_put(restored(saved, like), jax.local_devices()[0])

    def _begin(self) -> OpenGames:
        n = self.env.num_envs
        frames, world = reset_all(self.env.world, jax.random.fold_in(self.env.key, self._step + 1), n)
        return OpenGames(frames, jnp.ones(n, bool), self._network.init_state(n), world)

    def open_games(self) -> dict[str, np.ndarray]:
        """The games as they stand: arrays [N, ...] by name."""
        count = {"steps": np.full(self.env.num_envs, self._step)}  # since the environments were made
        return count | self._scoreboard.open_games() | jax.device_get(named(self._games))

    def play(self, params: Params, num_steps: int) -> tuple[Chunk, list[Game]]:
        """See `Player.play`."""
        chunks, games = [], []
        for begin in range(0, num_steps, self._length):
            chunk, measures = self._play(params, min(self._length, num_steps - begin))
            chunks.append(chunk)
            over = chunk.ends | chunk.truncations
            for t in range(chunk.actions.shape[1]):
                row = jax.tree.map(lambda x, t=t: x[:, t], measures)
                ended = self._scoreboard.count(chunk.rewards[:, t], over[:, t], row)
                games += [game for _, game in ended]
        return jax.tree.map(lambda *parts: np.concatenate(parts, 1), *chunks), games

    def _play(self, params: Params, num_steps: int) -> tuple[Chunk, Any]:
        self._games, record = play_steps(
            self.env.world,
            self._network,
            self._length,
            self._finals,
            params,
            self._games,
            self._keys,
            self._step,
            num_steps,
            self._epsilon,
        )
        self._step += num_steps
        return jax.tree.map(lambda x: x[:, :num_steps], jax.device_get(record))


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def play_steps(
    world: World,
    network: Actor,
    length: int,
    finals: bool,
    params: Params,
    games: OpenGames,
    keys: tuple[jax.Array, jax.Array],
    first: jax.Array,
    num_steps: jax.Array,
    epsilon: jax.Array,
) -> tuple[OpenGames, tuple[Chunk, Any]]:
    """Plays `num_steps` steps of N games, at most `length`.

    A loop of as many turns as there are steps, into arrays of a fixed length: one program for every number of steps.

    Args:
      finals: whether the chunk has them.
      params: of `network`.
      keys: of the actions and of the world; step n, counted from 0, folds n into the first one, and into the second
        the number of the call of `InJit` that it replaces.
      first: the number of the first step, int32 [].
      epsilon: see `choose`.

    Returns:
      The games, and of each step a chunk of `length` steps and the measures [N, length, K]; zeros after `num_steps`.
    """

    def step(games: OpenGames, number: jax.Array) -> tuple[OpenGames, tuple[Chunk, Any]]:
        act_key, world_key = (jax.random.fold_in(key, number + calls) for key, calls in zip(keys, (0, 2), strict=True))
        choice, lstm = choose(params, network, games.frames, games.lstm, games.fresh, act_key, epsilon)
        lstm = network.take_in(params, lstm, games.frames, choice.actions)
        moment, frames, state = step_all(world, world_key, games.world, choice.actions)
        over = moment.end | moment.truncation
        played = Chunk(games.frames, choice.actions, *moment[1:4], starts=games.fresh, game_starts=games.fresh)
        if finals:
            played = played._replace(finals=jnp.where(moment.end[:, None, None, None], moment.frame, 0))
        return OpenGames(frames, over, lstm, state), (played, moment.measures)

    def record(t: jax.Array, carry: tuple[OpenGames, Any]) -> tuple[OpenGames, Any]:
        games, rows = step(carry[0], first + t)
        return games, jax.tree.map(lambda every, row: every.at[:, t].set(row), carry[1], rows)

    rows = jax.eval_shape(step, games, first)[1]
    empty = jax.tree.map(lambda x: jnp.zeros((len(x), length, *x.shape[1:]), x.dtype), rows)
    return jax.lax.fori_loop(0, num_steps, record, (games, empty))
