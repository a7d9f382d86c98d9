"""Imagined steps beside a game on paper, with a world model that follows a known rule."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.config import pour
from edeline_jax.replay.frame import to_float
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model import imagination
from edeline_jax.world_model.imagination import StepDraws
from tests.tiny_config import get_config
from tests.world_model.rules import RuleModel, level, show_everything

CONFIG = pour(get_config())
MODEL, ENV = RuleModel(CONFIG.agent, show_everything), CONFIG.world_model_env
SEES_H = dataclasses.replace(CONFIG.agent.actor_critic, inputs="frames_and_h")
SEEN_MODEL = MODEL._replace(config=dataclasses.replace(CONFIG.agent, actor_critic=SEES_H))
L, B, T, SHAPE = CONFIG.context, 4, 11, (4, 4, 3)


def one_hot(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Noise that makes a class win."""
    return 1e6 * np.eye(num_classes, dtype=np.float32)[classes]


def starts(seed: int = 0) -> tuple[np.ndarray, np.ndarray, Segment]:
    """The number that each frame's red shows and the actions, [T + 1, B, L], and the segments."""
    rng = np.random.default_rng(seed)
    reds, actions = rng.integers(0, 3, (2, T + 1, B, L))
    frames = np.broadcast_to(level(reds)[..., None, None, None], (*reds.shape, *SHAPE)).astype(np.uint8)
    there = np.ones(reds.shape, bool)
    return reds, actions, Segment(to_float(jnp.asarray(frames)), jnp.asarray(actions), 0 * reds, ~there, there)


class Paper:
    """One environment of the rule: the reds of its last L frames, its memory and its age."""

    def __init__(self, reds: np.ndarray, actions: np.ndarray):
        self.reds, self.age = list(reds), 0
        self.memory = (actions[:-1] + 2 * reds[:-1]).sum()

    def step(self, action: int) -> list[int]:
        """The colour of the next frame."""
        self.memory += action + 2 * self.reds[-1]
        colour = [level(action), self.memory, level(self.reds[0])]
        self.reds, self.age = [*self.reds[1:], action], self.age + 1
        return colour


def levels(frames: jax.Array) -> np.ndarray:
    """The colour of each frame, [..., 3]; every pixel has the same."""
    x = (np.asarray(frames) + 1) * 255 / 2
    assert (x == x[..., :1, :1, :]).all()
    return x[..., 0, 0, :]


def test_steps_ends_and_restarts_are_those_of_the_game_on_paper() -> None:
    rng = np.random.default_rng(1)
    reds, old_actions, segments = starts()
    actions, classes, ends = rng.integers(0, 3, (T, B)), rng.integers(0, 3, (T, B)), rng.random((T, B)) < 0.2
    step = jax.jit(functools.partial(imagination.step, {}, MODEL, config=ENV))
    state = imagination.reset({}, MODEL, jax.tree.map(lambda x: x[0], segments))
    games, truncated, noise = [Paper(*start) for start in zip(reds[0], old_actions[0], strict=True)], 0, np.ones(SHAPE)
    for t in range(T):
        draws = StepDraws(one_hot(classes[t], 3), one_hot(ends[t].astype(int), 2), np.stack([noise] * B), None)
        start = jax.tree.map(lambda x, t=t: x[t + 1], segments)
        state, outcome = step(state, actions[t], draws, start)
        colours = np.array([game.step(action) for game, action in zip(games, actions[t], strict=True)])
        np.testing.assert_allclose(levels(outcome.final_obs), colours, atol=0.01)
        np.testing.assert_array_equal(outcome.reward, classes[t] - 1)
        np.testing.assert_array_equal(outcome.end, ends[t])
        np.testing.assert_array_equal(outcome.truncation, [game.age == ENV.horizon for game in games])
        np.testing.assert_array_equal(outcome.burn_in, start.frames[:, :-1])
        for i in range(B):
            if ends[t, i] or games[i].age == ENV.horizon:
                truncated += not ends[t, i]
                games[i] = Paper(reds[t + 1, i], old_actions[t + 1, i])
                colours[i] = level(reds[t + 1, i, -1])
        np.testing.assert_allclose(levels(outcome.obs), colours, atol=0.01)
        np.testing.assert_array_equal(state.age, [game.age for game in games])
        np.testing.assert_array_equal(state.memory, [game.memory for game in games])
        np.testing.assert_allclose(
            levels(state.frames)[..., 0], level(np.array([game.reds for game in games])), atol=0.01
        )
    assert truncated and ends.sum() > 4


def padded(segments: Segment, lengths: np.ndarray) -> Segment:
    """Only the last steps are real, `lengths` [T + 1, B] of each segment; the others keep what they show."""
    position = np.arange(segments.mask.shape[-1])[::-1]
    return segments._replace(mask=jnp.asarray(position < lengths[..., None]))


def test_a_long_burn_in_begins_with_the_episode_and_is_read_for_restarts_alone() -> None:
    """Memories on paper, from starts whose first steps are padding that shows something."""
    rng = np.random.default_rng(2)
    long = [starts(seed) for seed in (3, 4)]
    reds, old_actions = (np.concatenate([part[i] for part in long], -1) for i in range(2))
    whole = jax.tree.map(lambda *x: jnp.concatenate(x, 2), *(part[2] for part in long))
    lengths = rng.integers(1, 2 * L + 1, (T + 1, B))
    whole = padded(whole, lengths)
    counts = np.asarray(whole.mask)[..., :-1] * (old_actions + 2 * reds)[..., :-1]
    expected = counts.sum(-1)

    state = imagination.reset({}, MODEL, jax.tree.map(lambda x: x[0], whole))
    np.testing.assert_array_equal(state.memory, expected[0])
    np.testing.assert_allclose(levels(state.frames)[..., 0], level(reds[0, :, -L:]), atol=0.01)
    short = imagination.reset({}, MODEL, jax.tree.map(lambda x: x[0, :, -L:], whole))
    np.testing.assert_array_equal(short.memory, (old_actions + 2 * reds)[0, :, -L:-1].sum(-1))  # padding counts here

    older, newer = (jax.tree.map(lambda x, i=i: x[1][:, i], whole) for i in (slice(-L), slice(-L, None)))
    look_back = jax.tree_util.Partial(lambda steps, rows: jax.tree.map(lambda x: x[rows], steps), older)
    ends = np.array([True, False, True, False])
    draws = StepDraws(np.zeros((B, 3)), one_hot(ends.astype(int), 2), np.ones((B, *SHAPE)), None)
    state, outcome = jax.jit(functools.partial(imagination.step, {}, MODEL, config=ENV))(
        state, np.ones(B, int), draws, newer, older=look_back
    )
    gone_on = expected[0] + 1 + 2 * reds[0, :, -1]
    np.testing.assert_array_equal(state.memory, np.where(ends, expected[1], gone_on))
    np.testing.assert_array_equal(outcome.burn_in_mask, newer.mask[:, :-1])
    np.testing.assert_array_equal(outcome.older(np.array([2])).mask, older.mask[2:3])


def known(reds: np.ndarray, actions: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """On paper, what the memory knows before each frame [..., K]: the last action and the sum so far, [..., K, 2]."""
    h = np.stack([actions, np.cumsum(mask * (actions + 2 * reds), -1)], -1) * mask[..., None]
    return np.concatenate([0 * h[..., :1, :], h[..., :-1, :]], -2)


@pytest.mark.parametrize("parts", [1, 2])
def test_the_policy_sees_what_the_memory_knew_before_each_frame(parts: int) -> None:
    """At starts, in steps, at their ends, and in the frames to burn in on; of starts of L steps, and of longer ones."""
    rng, K = np.random.default_rng(5), parts * L
    some = [starts(seed) for seed in range(parts)]
    reds, old_actions = (np.concatenate([part[i] for part in some], -1) for i in range(2))
    whole = jax.tree.map(lambda *x: jnp.concatenate(x, 2), *(part[2] for part in some))
    whole = whole if parts == 1 else padded(whole, rng.integers(1, K + 1, (T + 1, B)))
    expected = known(reds, old_actions, np.asarray(whole.mask))
    state, h = imagination.reset_with_h({}, SEEN_MODEL, jax.tree.map(lambda x: x[0], whole))
    np.testing.assert_array_equal(h, expected[0])
    step = jax.jit(functools.partial(imagination.step, {}, SEEN_MODEL, config=ENV))
    sums, restarts = np.asarray(state.memory), 0
    for t in range(T):
        older, newer = (jax.tree.map(lambda x, i=i, t=t: x[t + 1][:, i], whole) for i in (slice(-L), slice(-L, None)))
        look_back = jax.tree_util.Partial(lambda steps, rows: jax.tree.map(lambda x: x[rows], steps), older)
        actions, ends = rng.integers(0, 3, B), rng.random(B) < 0.3
        draws = StepDraws(np.zeros((B, 3)), one_hot(ends.astype(int), 2), np.ones((B, *SHAPE)), None)
        sums = sums + actions + 2 * np.round((levels(state.frames[:, -1])[:, 0] - 20) / 100)
        state, outcome = step(state, actions, draws, newer, older=look_back if parts > 1 else None)
        dead = np.asarray(outcome.end | outcome.truncation)
        final = np.stack([actions, sums], -1)
        np.testing.assert_array_equal(outcome.final_obs.h, final)
        np.testing.assert_array_equal(outcome.obs.h, np.where(dead[:, None], expected[t + 1][:, -1], final))
        np.testing.assert_array_equal(outcome.obs.frames, state.frames[:, -1])
        np.testing.assert_array_equal(outcome.burn_in.frames, newer.frames[:, :-1])
        np.testing.assert_array_equal(outcome.burn_in.h[dead], expected[t + 1][dead, -L:-1])
        if parts > 1 and dead.any():
            rows = np.flatnonzero(dead)
            np.testing.assert_array_equal(outcome.older(rows).frames.frames, older.frames[rows])
            np.testing.assert_array_equal(outcome.older(rows).frames.h, expected[t + 1][rows, :-L])
        sums, restarts = np.asarray(state.memory), restarts + dead.sum()
    assert restarts > B
