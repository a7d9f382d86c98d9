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


def last_steps(params: Params, model: Edeline, games: Sequence[RecordedGame], length: int) -> list[np.ndarray]:
    """h_t of the steps from `length` - 1 on, float32 [T - length + 1, D]: the memory has seen `length` steps only.

    With L steps it is the h of the first imagined step, whose memory is burnt in on L - 1 frames.
    """
    places = [(i, t) for i, game in enumerate(games) for t in range(len(game.actions) - length + 1)]
    memory, parts = model.init_memory(CHUNK), []
    for start in range(0, len(places), CHUNK):
        windows = places[start : start + CHUNK]
        frames = np.stack([games[i].frames[t : t + length] for i, t in windows])
        actions = np.stack([games[i].actions[t : t + length] for i, t in windows])
        h, _ = _embed(params, model, _filled(frames, CHUNK), _filled(actions, CHUNK), memory)
        parts.append(np.asarray(h[: len(windows), -1]))
    states = np.concatenate(parts) if parts else np.zeros((0, model.config.recurrent_emb.mamba.d_model), np.float32)
    stops = np.cumsum([max(0, len(game.actions) - length + 1) for game in games])
    return np.split(states, stops[:-1])


@functools.partial(jax.jit, static_argnums=1)
def _embed(
    params: Params, model: Edeline, frames: jax.Array, actions: jax.Array, memory: Caches
) -> tuple[jax.Array, Caches]:
    return model.apply(params, to_float(frames), actions, memory, method="embed")


def _filled(x: np.ndarray, length: int) -> np.ndarray:
    """With zeros after its end: every call has the same shape, and no state sees what comes later."""
    return np.concatenate([x, np.zeros((length - len(x), *x.shape[1:]), x.dtype)])
