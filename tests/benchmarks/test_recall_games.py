"""Choices in Recall: those of an agent that remembers the cue, and of one that does the opposite."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import recall_games


class Rememberer:
    """Does what the cue of the first frame says from then on, or the opposite."""

    def __init__(self, id: str, contrary: bool):
        self.config = SimpleNamespace(env=SimpleNamespace(id=id, size=6))
        self.contrary = contrary

    def reset(self, seed: int) -> None:
        self.cue = None

    def act(self, frames: np.ndarray) -> np.ndarray:
        if self.cue is None:
            self.cue = (frames[:, -1, -1, 2] > frames[:, -1, -1, 0]).astype(np.int32)  # blue says right
        return self.cue ^ self.contrary


@pytest.mark.parametrize(
    ("id", "contrary", "shares"),
    [
        ("recall_32", False, "1.00 | 1.00"),
        ("recall_32", True, "0.00 | 0.00"),
        ("recall_far_32", False, "gate | 1.00"),
        ("recall_far_32", True, "gate | 0.00"),
    ],
)
def test_choices_are_right_if_the_cue_is_remembered(
    id: str, contrary: bool, shares: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(recall_games, "load", lambda path: Rememberer(id, contrary))
    monkeypatch.setattr(recall_games, "DELAYS", (8, 32))
    recall_games.main("an agent")
    assert capsys.readouterr().out.splitlines()[-1] == f"| an agent | {shares} |"
