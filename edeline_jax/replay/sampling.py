"""Samples segments: an episode, a step in it, an offset (SPEC of the reference).

What is drawn are places, for which the table of the episodes is enough: the steps there are read by the device itself
or, where the replay is on the host, by the host. Functions see one device's share of the replay: episodes [1, M, 4],
num_episodes [1].
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.segment import Segment, Steps, segments

Weights = tuple[float, ...]  # the probability of each age group; the episodes form as many equal ones, oldest first


class Step(NamedTuple):
    """B steps: the episode of each, a row of the table (all [B]), and its position t in the episode [B]."""

    stream: jax.Array
    first: jax.Array
    length: jax.Array
    goes_on: jax.Array
    t: jax.Array


class Places(NamedTuple):
    """Where the steps of B segments are; further axes may come first.

    `mask` is false beyond the episode; for `index` there see `Steps`.
    """

    stream: jax.Array  # int32 [B, 1], numbered on its device
    index: jax.Array  # int32 [B, T], in the stream
    mask: jax.Array  # bool [B, T]


def are_places(x: Any) -> bool:
    """Whether a node of a tree is one `Places`."""
    return isinstance(x, Places)


def segment_places(replay: Replay, key: jax.Array, batch: int, T: int, length: int, weights: Weights) -> Places:
    """Segments of T steps for the world model, and the steps before them: `length` together.

    The sampled step is at a uniform place in its segment, which may extend beyond both ends of the episode.
    """
    step_key, offset_key = jax.random.split(key)
    step = sample_steps(replay, step_key, batch, weights)
    return places(step, step.t - jax.random.randint(offset_key, (batch,), length - T, length), length)


def start_places(
    replay: Replay, key: jax.Array, batch: int, L: int, length: int, weights: Weights, beyond: int = 0
) -> Places:
    """Segments of `length` steps to imagine from: the newest is real, older ones may precede the episode's start.

    Where they stop depends on L alone: an offset as large as a long segment would let most of them stop at their
    episode's last step. With `beyond` = 1 they may stop one step behind it, where what an end led to is.
    """
    step_key, offset_key = jax.random.split(key)
    step = sample_steps(replay, step_key, batch, weights)
    stop = jnp.minimum(step.length + beyond, step.t + 1 + jax.random.randint(offset_key, (batch,), 0, L))
    return places(step, stop - length, length)


def sample_segments(
    replay: Replay, key: jax.Array, frame_shape: tuple[int, ...], batch: int, T: int, weights: Weights
) -> Segment:
    """The segments at `segment_places`."""
    return segments(read(replay, segment_places(replay, key, batch, T, T, weights)), frame_shape)


def sample_starts(
    replay: Replay, key: jax.Array, frame_shape: tuple[int, ...], batch: int, L: int, weights: Weights
) -> Segment:
    """The segments at `start_places`."""
    return segments(read(replay, start_places(replay, key, batch, L, L, weights)), frame_shape)


def sample_steps(replay: Replay, key: jax.Array, batch: int, weights: Weights) -> Step:
    """Uniform steps of episodes drawn by age group, or by length while there are fewer episodes than age groups."""
    tables = [replay.episodes, replay.num_episodes]
    chex.assert_shape(tables, [(1, None, 4), (1,)], custom_message="episodes, num_episodes")
    group_key, episode_key, step_key = jax.random.split(key, 3)
    num_episodes, groups = replay.num_episodes[0], len(weights)
    size = num_episodes // groups
    group = jax.random.choice(group_key, groups, (batch,), p=jnp.array(weights))
    low = group * size
    high = jnp.where(group == groups - 1, num_episodes, low + size)
    by_age = jax.random.randint(episode_key, (batch,), low, jnp.maximum(high, low + 1))

    few = jnp.where(jnp.arange(groups - 1) < num_episodes, replay.episodes[0, : groups - 1, 2], 0)
    nth_step = jax.random.randint(episode_key, (batch,), 0, few.sum())
    by_length = jnp.searchsorted(jnp.cumsum(few), nth_step, side="right")

    episodes = replay.episodes[0, jnp.where(num_episodes >= groups, by_age, by_length)].T
    stream, first, length, goes_on = episodes
    return Step(stream, first, length, goes_on, t=jax.random.randint(step_key, (batch,), 0, length))


def places(step: Step, start: jax.Array, T: int) -> Places:
    """Segments of T steps that begin at position `start` [B] of each step's episode."""
    chex.assert_rank(start, 1, custom_message="start")
    chex.assert_tree_shape_prefix(step, start.shape)
    position = start[:, None] + jnp.arange(T)[None]
    mask = (position >= 0) & (position < step.length[:, None])
    last = step.length - 1 + step.goes_on
    index = step.first[:, None] + jnp.clip(position, 0, last[:, None])
    return Places(step.stream[:, None], index, mask)


def read(replay: Replay, places: Places) -> Steps:
    """The steps at places of a replay, both on a device or both on the host."""
    steps = (x[places.stream, places.index] for x in (replay.frames, replay.actions, replay.rewards, replay.ends))
    if replay.finals is None:
        return Steps(*steps, places.mask)
    last = (places.index * places.mask).max(-1, keepdims=True)
    return Steps(*steps, places.mask, replay.finals[places.stream, last])


def cut(replay: Replay, step: Step, start: jax.Array, frame_shape: tuple[int, ...], T: int) -> Segment:
    """Segments of T steps that begin at position `start` [B] of each step's episode, padded outside the episode."""
    return segments(read(replay, places(step, start, T)), frame_shape)
