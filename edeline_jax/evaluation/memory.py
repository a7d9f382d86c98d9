"""The memory's states h_t along recorded games."""

import functools
from collections.abc import Sequence

import jax
import numpy as np

from edeline_jax.evaluation.recording import RecordedGame
from edeline_jax.nn.memory import Caches
from edeline_jax.nn.params import Params
from edeline_jax.replay.frame import to_float
from edeline_jax.world_model.edeline import Edeline

CHUNK = 64  # steps, or windows, of one call


def whole_history(params: Params, model: Edeline, games: Sequence[RecordedGame]) -> list[np.ndarray]:
    """h_t of every step, float32 [T, D] for each game: the memory has seen the game from its first frame on.

    Args:
      params: of `model`.
    """
    length = -(-max(len(game.actions) for game in games) // CHUNK) * CHUNK
    frames = np.stack([_filled(game.frames[:-1], length) for game in games])
    actions = np.stack([_filled(game.actions, length) for game in games])
    memory, parts = model.init_memory(len(games)), []
    for start in range(0, length, CHUNK):
        part = slice(start, start + CHUNK)
        h, memory = _embed(params, model, frames[:, part], actions[:, part], memory)
        parts.append(np.asarray(h))
    states = np.concatenate(parts, 1)
    return [states[i, : len(game.actions)] for i, game in enumerate(games)]


def last_steps(
    params: Params, model: Edeline, games: Sequence[RecordedGame], context: int, burn_in: int
) -> list[np.ndarray]:
    """h_t of the steps from L - 1 on, float32 [T - L + 1, D]: the memory has seen the last K + 1 steps only.

    It is the h of the first imagined step, whose memory is burnt in on K frames, or on all since the game began.

    Args:
      context: L.
      burn_in: K.
    """
    places = [(i, t) for i, game in enumerate(games) for t in range(context - 1, len(game.actions))]
    length = burn_in + 1

    def window(x: np.ndarray, t: int) -> np.ndarray:
        part = x[max(0, t + 1 - length) : t + 1]
        return np.concatenate([np.zeros((length - len(part), *x.shape[1:]), x.dtype), part])

    memory, parts = model.init_memory(CHUNK), []
    for start in range(0, len(places), CHUNK):
        windows = places[start : start + CHUNK]
        frames = np.stack([window(games[i].frames, t) for i, t in windows])
        actions = np.stack([window(games[i].actions, t) for i, t in windows])
        there = np.stack([np.arange(t + 1 - length, t + 1) >= 0 for _, t in windows])
        h, _ = _embed(params, model, *(_filled(x, CHUNK) for x in (frames, actions)), memory, _filled(there, CHUNK))
        parts.append(np.asarray(h[: len(windows), -1]))
    states = np.concatenate(parts) if parts else np.zeros((0, model.config.recurrent_emb.mamba.d_model), np.float32)
    stops = np.cumsum([max(0, len(game.actions) - context + 1) for game in games])
    return np.split(states, stops[:-1])


@functools.partial(jax.jit, static_argnums=1)
def _embed(
    params: Params,
    model: Edeline,
    frames: jax.Array,
    actions: jax.Array,
    memory: Caches,
    mask: jax.Array | None = None,
) -> tuple[jax.Array, Caches]:
    return model.apply(params, to_float(frames), actions, memory, mask, method="embed")


def _filled(x: np.ndarray, length: int) -> np.ndarray:
    """With zeros after its end: every call has the same shape, and no state sees what comes later."""
    return np.concatenate([x, np.zeros((length - len(x), *x.shape[1:]), x.dtype)])
