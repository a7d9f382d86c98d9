"""Chooses places of a replay to imagine from: where most happens, and where most is left of the episode."""

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.sampling import Step

USUAL = 0.9  # share of all changes above which one counts no more: a flash of the whole screen is not much happening
APART = 50  # steps between two places of an episode that are chosen for what is left of it


def liveliest(replay: Replay, context: int, most_frames: int, count: int) -> Step:
    """Up to `count` places, at most all there are, from which the frames change most; no two share a frame.

    A place is followed by `most_frames` frames of its episode, or by as many as it has, which are more than `context`.

    Args:
      replay: one device's, with at least one episode.

    Returns:
      The places, the liveliest first; t is the position of the first frame.
    """
    change = np.asarray(_change(replay.frames), np.float64)
    if change.any():
        change = np.minimum(change, np.quantile(change[change > 0], USUAL))
    change = np.pad(change, ((0, 0), (1, 0))).cumsum(1)
    rows = [np.zeros((0, 6))]
    for stream, first, steps, goes_on in episodes(replay):
        length = min(most_frames, steps)
        if length > context:
            t = np.arange(steps - length + 1)
            score = change[stream, first + t + length - 1] - change[stream, first + t]
            rows.append(np.stack([score, *np.broadcast_arrays(stream, first, steps, goes_on, t)], 1))
    score, stream, first, steps, goes_on, t = np.concatenate(rows).T
    begin, stop = first + t, first + t + np.minimum(most_frames, steps)
    chosen: list[int] = []
    while len(chosen) < count and (score >= 0).any():
        best = int(score.argmax())
        chosen.append(best)
        score[(stream == stream[best]) & (begin < stop[best]) & (stop > begin[best])] = -1
    return Step(*(x[chosen].astype(np.int32) for x in (stream, first, steps, goes_on, t)))


def longest(replay: Replay, context: int, count: int) -> Step:
    """Up to `count` places with the most frames after the first `context`, at least one.

    They are beginnings of episodes, and places `APART` and a multiple of it later.

    Args: see `liveliest`.
    """
    places = [
        (stream, first, steps, goes_on, t)
        for stream, first, steps, goes_on in episodes(replay).tolist()
        for t in range(0, steps - context, APART)
    ]
    places = sorted(places, key=lambda place: place[-1] - place[2])[:count]  # the older episode first
    return Step(*np.array(places, np.int32).reshape(-1, 5).T)


def episodes(replay: Replay) -> np.ndarray:
    """The episodes of one device's replay; int32 [N, 4], see `EpisodeTable`."""
    return np.asarray(replay.episodes)[0, : int(replay.num_episodes[0])]


@jax.jit
def _change(frames: jax.Array) -> jax.Array:
    """Mean absolute difference of each frame to the one before, [S, N - 1] of uint8 [S, N, H * W * C]."""
    return jnp.abs(jnp.diff(frames.astype(jnp.int16), axis=1)).astype(jnp.float32).mean(-1)
