"""Chunks: consecutive steps of every stream on the host, before they enter the replay."""

from typing import NamedTuple

import jax
import numpy as np


class Chunk(NamedTuple):
    """n consecutive steps of every stream, on the host."""

    frames: np.ndarray  # uint8 [S, n, H, W, C]
    actions: np.ndarray  # int32 [S, n]
    rewards: np.ndarray  # float32 [S, n]
    ends: np.ndarray  # bool [S, n]
    truncations: np.ndarray  # bool [S, n]: cut off by a time limit
    starts: np.ndarray  # bool [S, n]: the first step of an episode
    game_starts: np.ndarray  # bool [S, n]: the first step of a game, not just of its next life
    finals: np.ndarray | None = None  # uint8 [S, n, H, W, C]: what an end led to, 0 at other steps; None: not kept


def filled_up(chunk: Chunk, length: int) -> Chunk:
    """Pads a chunk with zeros to `length` steps, so that one compiled program appends all chunks."""
    missing = length - chunk.actions.shape[1]
    return jax.tree.map(lambda x: np.pad(x, [(0, 0), (0, missing), *[(0, 0)] * (x.ndim - 2)]), chunk)


def with_finals(chunk: Chunk) -> Chunk:
    """A chunk that has finals; where they were not kept, the frame of an end's own step stands for what it led to."""
    return chunk if chunk.finals is not None else chunk._replace(finals=chunk.frames)
