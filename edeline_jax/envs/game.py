"""The interface of a single game on the host."""

import traceback
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np


class Moment(NamedTuple):
    """What an action led to."""

    frame: np.ndarray  # uint8 [size,size,3]; the last one of a game, too
    reward: float
    end: bool  # the game is over
    truncation: bool  # the time limit cuts it off
    measures: tuple[float, ...] = ()  # of the game so far, see `Family.measures`


class Game(Protocol):
    """One environment. Calls of `reset` and `step` alternate as a game needs it; the class seeds itself."""

    num_actions: int

    def reset(self) -> np.ndarray:
        """Starts a new game; returns its first frame, uint8 [size,size,3]."""

    def step(self, action: int) -> Moment:
        """Plays an action in [0, num_actions)."""

    def close(self) -> None:
        """Frees the game, its processes and files; may be called again."""


class GameError(RuntimeError):
    """A game failed while it was played; the message is one line."""


def account(error: Exception) -> str:
    """An error of a game on one line, with the place in the code."""
    if isinstance(error, GameError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text} ({Path(place.filename).name}, line {place.lineno})"
