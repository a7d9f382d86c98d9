"""The world model left to itself for longer than one call of its program."""

import jax
import numpy as np
import pytest

from edeline_jax.evaluation.open_loop import STEPS, open_loop
from edeline_jax.replay.sampling import Step
from tests.evaluation.replays import L, obedient, setup_of
from tests.world_model.rules import level, show_everything

pytestmark = pytest.mark.optimized


def test_memory_and_context_are_carried_from_call_to_call() -> None:
    """From the fourth step of one episode, and from the beginning of another that ends in the second call."""
    n = STEPS + 5
    replay = obedient([[40], [6, 30]])
    starts = Step(*np.array([[0, 0, 40, 0, 3], [1, 6, 30, 0, 0]], np.int32).T)
    context, blocks = open_loop({}, replay, starts, jax.random.key(0), setup_of(show_everything))
    blocks = [next(blocks) for _ in range(2)]
    shown = np.concatenate([block.imagined for block in blocks], 1)
    assert len(context) == len(shown) == 2
    for row, (stream, begin, left) in enumerate([(0, 3, 37), (1, 6, 30)]):
        actions = replay.actions[stream, begin : begin + left]
        np.testing.assert_array_equal(context[row, :, 0, 0, 0], replay.frames[stream, begin : begin + L, 0])
        reds = [*((replay.frames[stream, begin : begin + L, 0].astype(int) - 20) // 100), *actions[L - 1 :]]
        for t in range(L, min(left, L + n)):
            memory = sum(actions[:t]) + 2 * sum(reds[:t])
            colours = [level(actions[t - 1]), memory % 256, level(reds[t - L])]
            assert np.abs(shown[row, t - L] - np.array(colours)).max() <= 1, (row, t)
        for k in range(2 * STEPS):  # step k + 1
            block, column = blocks[k // STEPS], k % STEPS
            assert block.there[row, column] == (L + k < left) and block.taken[row, column] == (L + k - 1 < left)
            if block.taken[row, column]:
                assert block.rewards[row, column] == actions[L + k - 1] - 1
                assert block.ends[row, column] == (L + k == left) == (actions[L + k - 1] == 2)
