"""Segments: a few consecutive steps of one episode, padded beyond its ends."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from edeline_jax.replay.frame import to_float


class Segment(NamedTuple):
    """B segments of T steps.

    A false `mask` marks padding: the frame is mid-grey (0 after normalisation), everything else 0.
    """

    frames: jax.Array  # float32 [B, T, H, W, C] in [-1, 1]
    actions: jax.Array  # int32 [B, T]
    rewards: jax.Array  # float32 [B, T], raw
    ends: jax.Array  # bool [B, T]
    mask: jax.Array  # bool [B, T]


class Steps(NamedTuple):
    """The steps of B segments as they are stored, on the host or on devices; further axes may come first.

    What a false `mask` marks is beyond the episode: its values are those of the nearest step or, behind an end after
    which the game went on, those of the step after it.
    """

    frames: Any  # uint8 [B, T, H * W * C]
    actions: Any  # int32 [B, T]
    rewards: Any  # float32 [B, T], raw
    ends: Any  # bool [B, T]
    mask: Any  # bool [B, T]
    finals: Any = None  # uint8 [B, 1, H * W * C]: what the last step led to, if it is an end; None: not kept


def segments(steps: Steps, frame_shape: tuple[int, ...]) -> Segment:
    """What networks learn from: steps [B, T] with frames normalised and padding blank."""
    return pad(steps.frames.reshape(*steps.mask.shape, *frame_shape), *steps[1:5])


def joined(older: Segment, newer: Segment) -> Segment:
    """The segments of which each is followed at once by its newer one."""
    return jax.tree.map(lambda *parts: jnp.concatenate(parts, 1), older, newer)


def segments_with_finals(steps: Steps, frame_shape: tuple[int, ...]) -> Segment:
    """The same, but behind an episode's end, in the first step of the padding, stands the frame that the end led to.

    Where finals are not kept, it is the one stored there; see `Steps`.
    """
    over = _behind_ends(steps)
    shown = steps._replace(mask=steps.mask | over)
    if steps.finals is not None:
        behind = (over & ~steps.mask)[..., None]
        shown = shown._replace(frames=jnp.where(behind, steps.finals, steps.frames))
    return segments(steps, frame_shape)._replace(frames=segments(shown, frame_shape).frames)


def segments_to_finals(steps: Steps, frame_shape: tuple[int, ...]) -> Segment:
    """The same, and that frame counts as a step, in which nothing was done."""
    segment = segments_with_finals(steps, frame_shape)
    return segment._replace(mask=segment.mask | _behind_ends(steps))


def _behind_ends(steps: Steps) -> jax.Array:
    return jnp.pad(steps.mask & steps.ends, ((0, 0), (1, 0)))[:, :-1]


def pad(frames: jax.Array, actions: jax.Array, rewards: jax.Array, ends: jax.Array, mask: jax.Array) -> Segment:
    """Normalises uint8 frames [B, T, H, W, C] and zeroes every step outside the mask [B, T]."""
    chex.assert_type(frames, jnp.uint8, custom_message="frames")
    chex.assert_tree_shape_prefix(Segment(frames, actions, rewards, ends, mask), frames.shape[:2])
    return Segment(
        frames=jnp.where(mask[..., None, None, None], to_float(frames), 0.0),
        actions=jnp.where(mask, actions, 0),
        rewards=jnp.where(mask, rewards, 0.0),
        ends=ends & mask,
        mask=mask,
    )
