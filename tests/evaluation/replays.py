"""Replays of known steps, with frames of 4 x 4, and a setup that imagines with a rule."""

import dataclasses

import numpy as np

from edeline_jax.agent.networks import Agent
from edeline_jax.config import pour
from edeline_jax.learning.setup import Setup, make_setup
from edeline_jax.replay.buffer import Replay, init_replay
from tests.tiny_config import get_config
from tests.world_model.rules import Rule, RuleModel, level

VALUES = pour(get_config())
CONFIG = dataclasses.replace(VALUES, env=dataclasses.replace(VALUES.env, size=4))
L = CONFIG.context


def setup_of(rule: Rule, model: type[RuleModel] = RuleModel) -> Setup:
    return make_setup(Agent(model(CONFIG.agent, rule), None), CONFIG)


def replay_of(lengths: list[list[int]], frames: np.ndarray, actions: np.ndarray) -> Replay:
    """Streams with episodes of the given lengths; frames [S, N, 48], actions [S, N], no rewards and no ends."""
    rows = [
        (stream, sum(parts[:i]), n, 0) for stream, parts in enumerate(lengths) for i, n in enumerate(parts)
    ]  # see `EpisodeTable`
    table = np.zeros((1, len(rows) + 5, 4), np.int32)
    table[0, : len(rows)] = rows
    return init_replay(*actions.shape, 48)._replace(
        frames=frames.astype(np.uint8),
        actions=actions.astype(np.int32),
        episodes=table,
        num_episodes=np.array([len(rows)]),
    )


def restless(lengths: list[list[int]]) -> Replay:
    """Random steps; only their frames come to rest now and then."""
    rng, steps = np.random.default_rng(0), max(map(sum, lengths))
    frames = rng.integers(0, 256, (len(lengths), steps, 48))
    still = rng.random((len(lengths), steps)) < 0.5
    for t in range(1, steps):
        frames[:, t] = np.where(still[:, t, None], frames[:, t - 1], frames[:, t])
    return replay_of(lengths, frames, rng.integers(0, 3, (len(lengths), steps)))


def obedient(lengths: list[list[int]]) -> Replay:
    """Every frame shows the action before it. The reward is the action - 1; a 2 ends the episode, and is only there."""
    rng, steps = np.random.default_rng(1), max(map(sum, lengths))
    actions = rng.integers(0, 2, (len(lengths), steps))
    for stream, parts in enumerate(lengths):
        actions[stream, np.cumsum(parts) - 1] = 2
    before = np.concatenate([np.zeros((len(lengths), 1), int), actions[:, :-1]], 1)
    frames = np.broadcast_to(level(before)[..., None], (*actions.shape, 48))
    return replay_of(lengths, frames, actions)._replace(rewards=actions - 1.0, ends=actions == 2)
