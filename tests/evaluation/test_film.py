"""Films with a world model that follows a known rule."""

import dataclasses

import jax
import numpy as np
import pytest

from edeline_jax.agent.networks import Agent
from edeline_jax.config import pour
from edeline_jax.evaluation.film import NUM_IMAGINED, shoot
from edeline_jax.learning.setup import make_setup
from edeline_jax.replay.buffer import Replay, init_replay
from tests.tiny_config import get_config
from tests.world_model.rules import Rule, RuleModel, level, repeat_newest, show_action

VALUES = pour(get_config())
CONFIG = dataclasses.replace(VALUES, env=dataclasses.replace(VALUES.env, size=4))
L = CONFIG.context


def replay(lengths: list[list[int]]) -> Replay:
    """Streams of random steps, with episodes of the given lengths; only their frames come to rest now and then."""
    rng, steps = np.random.default_rng(0), max(map(sum, lengths))
    frames = rng.integers(0, 256, (len(lengths), steps, 48), dtype=np.uint8)
    still = rng.random((len(lengths), steps)) < 0.5
    for t in range(1, steps):
        frames[:, t] = np.where(still[:, t, None], frames[:, t - 1], frames[:, t])
    rows = [
        (stream, sum(parts[:i]), n) for stream, parts in enumerate(lengths) for i, n in enumerate(parts)
    ]  # stream, first step, length
    table = np.zeros((1, len(rows) + 5, 3), np.int32)
    table[0, : len(rows)] = rows
    empty = init_replay(len(lengths), steps, 48)
    actions = rng.integers(0, 3, (len(lengths), steps)).astype(np.int32)
    return empty._replace(frames=frames, actions=actions, episodes=table, num_episodes=np.array([len(rows)]))


def liveliest(replay: Replay, length: int) -> tuple[int, int]:
    """Stream and step from which `length` frames of one episode change most, tried one by one."""
    changes = {}
    for stream, first, steps in replay.episodes[0, : replay.num_episodes[0]]:
        for begin in range(first, first + steps - length + 1):
            frames = replay.frames[stream, begin : begin + length].astype(float)
            changes[stream, begin] = np.abs(frames[1:] - frames[:-1]).sum()
    return max(changes, key=changes.get)


def film(replay: Replay, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    setup = make_setup(Agent(RuleModel(CONFIG.agent, rule), None), CONFIG)
    real, imagined = shoot({}, replay, jax.random.key(0), setup)
    assert real.dtype == imagined.dtype == np.uint8
    return real.astype(int), imagined.astype(int)


pytestmark = pytest.mark.optimized  # in a hurry, each use of a frame rounds in its own way
SHORT, LONG = [[6, 9, 3], [8, 9]], [[30, 7, 25], [12, 44]]


@pytest.mark.parametrize(("lengths", "length"), [(SHORT, 9), (LONG, L + NUM_IMAGINED)])
def test_a_film_shows_the_liveliest_place_and_goes_on_from_its_context(lengths: list[list[int]], length: int) -> None:
    """As long as the longest episode allows."""
    steps = replay(lengths)
    stream, begin = liveliest(steps, length)
    frames = steps.frames[stream, begin : begin + length].reshape(length, 4, 4, 3).astype(int)
    actions = steps.actions[stream, begin : begin + length]

    real, still = film(steps, repeat_newest)
    np.testing.assert_array_equal(real, frames)
    np.testing.assert_array_equal(still[:L], real[:L])
    assert len(still) == length and np.abs(still[L:] - frames[L - 1]).max() <= 1

    again, shown = film(steps, show_action)
    np.testing.assert_array_equal(again, real)
    np.testing.assert_array_equal(shown[:L], real[:L])
    assert np.abs(shown[L:] - level(actions[L - 1 : -1])[:, None, None, None]).max() <= 1
