"""The world model left to itself: it goes on from real frames along the recorded actions, beside what really came.

Step 1 is the first imagined frame, and the reward and end of the action that led to it.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.frame import from_float
from edeline_jax.replay.sampling import Step, cut
from edeline_jax.world_model.imagination import ImaginationState, reset
from edeline_jax.world_model.prediction import foresee

NUM_STARTS = 8  # imagined together
STEPS = 16  # of one call of the program, so that one program serves every horizon


class Steps(NamedTuple):
    """Consecutive steps of B starts, uint8, float32 and bool arrays; what is not there has no meaning."""

    real: np.ndarray  # [B, T, H, W, 3]
    there: np.ndarray  # [B, T]: whether the episode has this frame
    rewards: np.ndarray  # [B, T], raw
    ends: np.ndarray  # [B, T]
    taken: np.ndarray  # [B, T]: whether the episode has the action that leads to the frame
    trajectory: np.ndarray  # [B, T, num_steps_denoising + 1, H, W, 3]: noise to the imagined frame, on the device
    imagined: np.ndarray  # [B, T, H, W, 3]
    reward_probabilities: np.ndarray  # [B, T, 3], of the signs -1, 0 and 1
    end_probabilities: np.ndarray  # [B, T]


def open_loop(
    params: Params, replay: Replay, starts: Step, key: jax.Array, setup: Setup
) -> tuple[np.ndarray, Iterator[Steps]]:
    """Imagines from up to `NUM_STARTS` starts.

    Args:
      params: of the world model, on one device.
      replay: one device's.
      starts: at least one; t is the position of the first of the L frames that are given.
      key: consumed.

    Returns:
      The given frames, uint8 [B, L, H, W, 3], and an endless iterator over the `STEPS` next steps.
    """
    num_starts = len(starts.t)
    filled = Step(*(np.resize(x, NUM_STARTS) for x in starts))

    def steps(state: ImaginationState) -> Iterator[Steps]:
        number = 0
        while True:
            state, steps = go_on(params, replay, filled, state, np.int32(number), key, setup)
            fetched = jax.device_get(steps._replace(trajectory=None))
            yield jax.tree.map(lambda x: x[:num_starts], fetched)._replace(trajectory=steps.trajectory)
            number += 1

    state, context = begin(params, replay, filled, setup)
    return np.asarray(context)[:num_starts], steps(state)


@functools.partial(jax.jit, static_argnums=3)
def begin(params: Params, replay: Replay, starts: Step, setup: Setup) -> tuple[ImaginationState, jax.Array]:
    """The state after the L frames that are given at each of `NUM_STARTS` starts, and these, uint8 [B, L, H, W, 3].

    The memory has seen up to K steps before the newest of them, as in training.
    """
    K, L = setup.burn_in, setup.context
    seen = cut(replay, starts, starts.t + L - 1 - K, setup.frame_shape, K + 1)
    return reset(params, setup.agent.world_model, seen), from_float(seen.frames[:, -L:])


@functools.partial(jax.jit, static_argnums=6)
def go_on(
    params: Params,
    replay: Replay,
    starts: Step,
    state: ImaginationState,
    number: jax.Array,
    key: jax.Array,
    setup: Setup,
) -> tuple[ImaginationState, Steps]:
    """The `STEPS` steps with this number of calls before them, and the state after them; see `open_loop`."""
    newest = starts.t + setup.context - 1 + number * STEPS
    recorded = cut(replay, starts, newest, setup.frame_shape, STEPS + 1)
    frames, mask = recorded.frames, recorded.mask
    recorded = jax.tree.map(lambda x: x[:, :-1], recorded._replace(frames=None))
    key = jax.random.fold_in(key, number)
    state, seen = foresee(params, setup.agent.world_model, state, recorded.actions, key, setup.world_model_env)
    trajectory = from_float(seen.trajectory.clip(-1, 1))
    return state, Steps(
        from_float(frames[:, 1:]),
        mask[:, 1:],
        recorded.rewards,
        recorded.ends,
        recorded.mask,
        trajectory,
        trajectory[:, :, -1],
        seen.rewards,
        seen.ends,
    )
