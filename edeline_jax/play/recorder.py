"""Keeps what is played, as episodes and as a film."""

from typing import NamedTuple

import numpy as np

from edeline_jax.dataset.episodes import Episode
from edeline_jax.play.moment import Moment

MOST_STEPS = 2_000  # that a visitor may keep: 25 MB of frames of 64 x 64, twice that side by side


class Step(NamedTuple):
    """A step as an episode has it, and the picture that it led to."""

    frame: np.ndarray  # uint8 [H, W, 3], in which the action was taken
    action: int
    reward: float
    end: bool
    film: np.ndarray  # uint8 [H, W or 2 W, 3]


class Recording(NamedTuple):
    """Episodes of steps; those of a real game if one was beside the dream."""

    episodes: tuple[tuple[Step, ...], ...]
    frame_shape: tuple[int, int, int]
    num_actions: int

    def film(self) -> np.ndarray:
        """All pictures in a row, uint8 [T, H, W, 3]; those of the widest kind if the world was changed on the way."""
        films = [step.film for episode in self.episodes for step in episode]
        width = max(film.shape[1] for film in films)
        return np.stack([film for film in films if film.shape[1] == width])


def as_episode(steps: tuple[Step, ...]) -> Episode:
    """An episode of the open format; it is cut off after its last step unless that ended it."""
    last = np.arange(len(steps)) == len(steps) - 1
    ends = np.array([step.end for step in steps])
    return Episode(
        frames=np.stack([step.frame for step in steps]),
        actions=np.array([step.action for step in steps], np.int32),
        rewards=np.array([step.reward for step in steps], np.float32),
        ends=ends & last,
        truncations=last & ~ends,
    )


class Recorder:
    """Records steps while it is on.

    num_steps: kept so far.
    """

    def __init__(self, frame_shape: tuple[int, int, int], num_actions: int):
        self.is_on = False
        self.num_steps = 0
        self._shape = frame_shape, num_actions
        self._episodes: list[list[Step]] = [[]]

    def turn(self, on: bool) -> None:
        """Begins a recording anew, or ends it."""
        if on and not self.is_on:
            self._episodes, self.num_steps = [[]], 0
        self.is_on = on

    def add(self, before: dict[str, Moment], after: dict[str, Moment]) -> None:
        """Keeps a step of the worlds that are shown, until there are `MOST_STEPS`."""
        if self.is_on and self.num_steps < MOST_STEPS:
            world = "real" if "real" in after else "dream"
            frame, moment = before[world].frame, after[world]
            film = np.concatenate([shown.frame for shown in after.values()], 1)
            self._episodes[-1].append(Step(frame, moment.action, moment.reward, moment.end, film))
            self.num_steps += 1

    def cut(self) -> None:
        """The next step begins an episode."""
        self._episodes.append([])

    def copy(self) -> Recording:
        """What there is so far."""
        return Recording(tuple(tuple(steps) for steps in self._episodes if steps), *self._shape)
