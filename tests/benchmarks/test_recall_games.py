"""Choices in Recall: those of an agent that remembers the cue, and of one that does the opposite."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.recall_games import right_choices


class Rememberer:
    """Does what the cue of the first frame says from then on, or the opposite."""

    config = SimpleNamespace(env=SimpleNamespace(size=6))

    def __init__(self, contrary: bool):
        self.contrary = contrary

    def reset(self, seed: int) -> None:
        self.cue = None

    def act(self, frames: np.ndarray) -> np.ndarray:
        if self.cue is None:
            self.cue = (frames[:, -1, 0, 2] > frames[:, -1, 0, 0]).astype(np.int32)  # blue says right
        return self.cue ^ self.contrary


@pytest.mark.parametrize("contrary", [False, True])
@pytest.mark.parametrize("delay", [8, 32])
def test_choices_are_right_if_the_cue_is_remembered(contrary: bool, delay: int) -> None:
    assert right_choices(Rememberer(contrary), delay) == (not contrary)
