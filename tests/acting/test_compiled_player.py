"""Worlds in JAX played in compiled programs, beside the player that goes step by step."""

import jax
import numpy as np
import pytest

from edeline_jax.acting.compiled_player import CompiledPlayer, play_steps
from edeline_jax.acting.player import Player
from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.envs.in_jit import InJit, World
from edeline_jax.envs.recall import Recall
from edeline_jax.replay.chunk import Chunk
from tests.acting.policies import random_policy
from tests.envs.counting import Counting
from tests.tiny_config import get_config

N, EPSILON, LENGTH = 6, 0.2, 7
LENGTHS = [1, 10, 3, LENGTH, 2 * LENGTH, 25]
CONFIG = pour(get_config())
WORLDS = {"counting": Counting(size=20, num_actions=3, goal=5), "recall": Recall(size=20, longest=16)}


def networks(world: World) -> tuple:
    """The network for a world, and a policy that knows what it wants and remembers."""
    network = build_agent(CONFIG, world.num_actions).actor_critic
    return network, random_policy(network)


def compiled(world: World, length: int = LENGTH) -> CompiledPlayer:
    return CompiledPlayer(InJit(world, N, seed=3), networks(world)[0], EPSILON, jax.random.key(5), length)


def step_by_step(world: World) -> Player:
    return Player(InJit(world, N, seed=3), networks(world)[0], EPSILON, jax.random.key(5))


def played(player: Player | CompiledPlayer, params: dict, lengths: list[int]) -> tuple[list[Chunk], list[Game]]:
    """Chunks of these lengths, and all games."""
    parts = [player.play(params, length) for length in lengths]
    return [chunk for chunk, _ in parts], [game for _, games in parts for game in games]


def joined(chunks: list[Chunk]) -> Chunk:
    return Chunk(*(np.concatenate(parts, 1) for parts in zip(*chunks, strict=True)))


def assert_equal(chunk: Chunk, expected: Chunk) -> None:
    for name, array in expected._asdict().items():
        got = getattr(chunk, name)
        assert got.dtype == array.dtype, name
        np.testing.assert_array_equal(got, array, err_msg=name)


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_it_plays_what_the_player_plays_step_by_step(world: World) -> None:
    """In chunks shorter, longer and as long as a call."""
    _, policy = networks(world)
    other, player = step_by_step(world), compiled(world)
    expected, games = played(other, policy, LENGTHS)
    before = play_steps._cache_size()
    chunks, same_games = played(player, policy, LENGTHS)
    assert play_steps._cache_size() == before + 1
    for chunk, same in zip(chunks, expected, strict=True):
        assert_equal(chunk, same)
    assert games == same_games and len(games) > 2 * N and all(game.measures for game in games)
    whole = joined(expected)
    assert whole.game_overs.any(1).all() and not whole.game_overs.all()
    assert whole.ends.any() and whole.truncations.any() == (world is WORLDS["counting"])
    np.testing.assert_array_equal(whole.starts[:, 1:], whole.game_overs[:, :-1])
    assert len(np.unique(whole.actions[whole.starts == 0])) > 1
    for got, lstm in zip(player._games.lstm, other._chooser._lstm, strict=True):
        np.testing.assert_allclose(got, lstm, atol=1e-5)
