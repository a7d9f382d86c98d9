"""Worlds in JAX played in compiled programs, beside the player that goes step by step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.acting.compiled_player import CompiledPlayer, play_steps
from edeline_jax.acting.player import Player
from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.envs.game import Moment
from edeline_jax.envs.in_jit import InJit, World
from edeline_jax.envs.recall import Recall
from edeline_jax.replay.chunk import Chunk
from tests.acting.policies import random_policy
from tests.envs.counting import Counting
from tests.random_params import random_params
from tests.tiny_config import get_config

N, EPSILON, LENGTH = 6, 0.2, 7
LENGTHS = [1, 10, 3, LENGTH, 2 * LENGTH, 25]
INPUTS = ("frames", "frames_and_h")
WORLDS = {"counting": Counting(size=20, num_actions=3, goal=5), "recall": Recall(size=20, longest=16)}


def networks(world: World, inputs: str = "frames") -> tuple:
    """What acts in a world, and the weights of a policy that knows what it wants and remembers."""
    values = get_config()
    values.agent.actor_critic.inputs = inputs
    config = pour(values)
    agent = build_agent(config, world.num_actions)
    params = {"actor_critic": random_policy(agent.actor_critic)}
    return agent.actor, agent.actor_params(random_params(agent, config) | params if agent.sees_h else params)


def compiled(
    world: World, length: int = LENGTH, saved: dict[str, np.ndarray] | None = None, inputs: str = "frames"
) -> CompiledPlayer:
    actor = networks(world, inputs)[0]
    return CompiledPlayer(InJit(world, N, seed=3), actor, EPSILON, jax.random.key(5), length, saved, True)


def step_by_step(world: World, inputs: str) -> Player:
    return Player(InJit(world, N, seed=3), networks(world, inputs)[0], EPSILON, jax.random.key(5), True)


def played(player: Player | CompiledPlayer, params: dict, lengths: list[int]) -> tuple[list[Chunk], list[Game]]:
    """Chunks of these lengths, and all games."""
    parts = [player.play(params, length) for length in lengths]
    return [chunk for chunk, _ in parts], [game for _, games in parts for game in games]


def joined(chunks: list[Chunk]) -> Chunk:
    return jax.tree.map(lambda *parts: np.concatenate(parts, 1), *chunks)


def assert_equal(chunk: Chunk, expected: Chunk) -> None:
    for name, array in expected._asdict().items():
        got = getattr(chunk, name)
        assert got.dtype == array.dtype, name
        np.testing.assert_array_equal(got, array, err_msg=name)


@pytest.mark.parametrize(("name", "inputs"), [*((name, "frames") for name in WORLDS), ("recall", "frames_and_h")])
def test_it_plays_what_the_player_plays_step_by_step(name: str, inputs: str) -> None:
    """In chunks shorter, longer and as long as a call."""
    world = WORLDS[name]
    _, policy = networks(world, inputs)
    other, player = step_by_step(world, inputs), compiled(world, inputs=inputs)
    expected, games = played(other, policy, LENGTHS)
    before = play_steps._cache_size()
    chunks, same_games = played(player, policy, LENGTHS)
    assert play_steps._cache_size() == before + 1
    for chunk, same in zip(chunks, expected, strict=True):
        assert_equal(chunk, same)
    assert games == same_games and len(games) > 2 * N and all(game.measures for game in games)
    whole = joined(expected)
    over = whole.ends | whole.truncations
    assert over.any(1).all() and not over.all()
    assert whole.ends.any() and whole.truncations.any() == (world is WORLDS["counting"])
    assert (whole.finals.any((2, 3, 4)) == whole.ends).all()
    np.testing.assert_array_equal(whole.starts[:, 1:], over[:, :-1])
    assert len(np.unique(whole.actions[whole.starts == 0])) > 1
    jax.tree.map(
        lambda got, same: np.testing.assert_allclose(got, same, atol=1e-5), player._games.lstm, other._chooser._state
    )


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_the_length_of_a_call_changes_nothing(world: World) -> None:
    """Bit by bit, since it is one loop; a call is never longer than some thousand steps of all environments."""
    _, policy = networks(world)
    expected, games = played(compiled(world, 60), policy, [60])
    for length in (1, 13, 10_000):
        player = compiled(world, length)
        chunks, same_games = played(player, policy, [23, 37])
        assert_equal(joined(chunks), expected[0])
        assert games == same_games and player._length == min(length, 8_192 // N)


class Noisy(NamedTuple):
    """`Counting` with a key in its state, which draws how far the number goes on, and a count of a weak type."""

    size: int = 20
    num_actions: int = 3

    def reset(self, key: jax.Array) -> tuple[jax.Array, Any]:
        frame, state = Counting(self.size, self.num_actions, 9).reset(key)
        return frame, (key, state, jnp.asarray(0))

    def step(self, key: jax.Array, state: Any, action: jax.Array) -> tuple[Moment, Any]:
        own, counting, count = state
        own, draw = jax.random.split(own)
        action = action + jax.random.randint(draw, (), 0, 2)
        moment, counting = Counting(self.size, self.num_actions, 9).step(key, counting, action)
        return moment, (own, counting, count + jnp.int32(1))


@pytest.mark.parametrize("inputs", INPUTS)
def test_games_go_on_from_their_arrays_alone(inputs: str) -> None:
    """As in another process: also those of a world that keeps keys, and the memory of a policy that sees it."""
    world = Noisy()
    _, policy = networks(world, inputs)
    expected, games = played(compiled(world, inputs=inputs), policy, [17, 30])
    first = compiled(world, inputs=inputs)
    _, before = played(first, policy, [17])
    saved = {name: np.array(array) for name, array in first.open_games().items()}
    assert all(len(array) == N for array in saved.values())
    second = compiled(world, saved=saved, inputs=inputs)
    chunks, after = played(second, policy, [30])
    assert_equal(chunks[0], expected[1])
    assert before + after == games and before and after
    assert not chunks[0].starts[:, 0].all()


def test_a_world_compiles_once() -> None:
    """In calls before and after a resume, with parameters on a device, whatever types its first state has."""
    network, policy = networks(Noisy())
    policy = jax.device_put(policy, jax.devices()[0])
    before = play_steps._cache_size()
    player = CompiledPlayer(InJit(Noisy(), N, 0), network, 0.1, jax.random.key(0), 9)
    for num_steps in (9, 9, 4):
        player.play(policy, num_steps)
    again = CompiledPlayer(InJit(Noisy(), N, 0), network, 0.1, jax.random.key(0), 9, player.open_games())
    again.play(policy, 9)
    assert play_steps._cache_size() == before + 1


def test_games_of_another_version_of_a_world_are_left_there() -> None:
    """New ones begin, with random numbers of their own."""
    world = WORLDS["recall"]
    _, policy = networks(world)
    first = compiled(world)
    before, _ = played(first, policy, [20])
    saved = first.open_games()
    for changed in ({"world.delay": saved["world.delay"].astype(np.int16)}, {"lstm.hx": saved["lstm.hx"][:, :3]}):
        chunks, games = played(compiled(world, saved=saved | changed), policy, [20])
        assert chunks[0].starts[:, 0].all() and all(game.length <= 20 for game in games)
        assert (chunks[0].frames[:, 0] != before[0].frames[:, 0]).any()
