"""Draws what a world model dreams of Recall with and without a history that reaches back to the cue.

It dreams two games, along the recorded actions, from the fifth frame on: from all five, and from the newest four, which
do not show the cue.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.chunk import Chunk
from edeline_jax.replay.frame import from_float
from edeline_jax.replay.segment import pad
from edeline_jax.world_model.prediction import imagine

DELAY, BEGIN = 68, 4  # steps from the cue to the doors, and to the newest frame that is given
SHOWN = (0, 2, 4, 5, 20, 36, 52, 67, 68, 69)  # steps after the cue


class Film(NamedTuple):
    """Two games, the first with a red cue and the second with a blue one, as they were or as they are dreamt."""

    words: str  # what the dream was given
    begin: int  # the step of the first frame
    frames: np.ndarray  # uint8 [2, DELAY + 2 - begin, H, W, 3]
    choice_earns: np.ndarray  # float [2]


def dream(params: Params, setup: Setup, games: Chunk) -> list[Film]:
    """The games, and how they are dreamt.

    Args:
      params: of the world model.
      games: of this delay, with both cues among them.
    """
    is_red = games.frames[:, 0, -1, -1, 0] > games.frames[:, 0, -1, -1, 2]
    chosen = np.array([is_red.argmax(), is_red.argmin()])
    frames, actions = games.frames[chosen], games.actions[chosen]
    films = [Film("the game", 0, frames[:, : DELAY + 2], games.rewards[chosen, DELAY])]
    for words, first in {"given all frames since the cue": 0, "given the newest four frames": BEGIN - 3}.items():
        given, there = frames[:, first : BEGIN + 1], np.ones((2, BEGIN + 1 - first), bool)
        start = pad(given, actions[:, first : BEGIN + 1], jnp.zeros(there.shape), ~there, there)
        model, sampler = setup.agent.world_model, setup.world_model_env
        dreamt = imagine(params, model, start, actions[:, BEGIN : DELAY + 1], jax.random.key(0), sampler)
        film = np.concatenate([given[:, -1:], from_float(dreamt.frames)], 1)
        films.append(Film(words, BEGIN, film, np.asarray(dreamt.rewards)[:, -1]))
    return films


def draw(films: list[Film], out: str) -> None:
    """A row per game and film, a column for each of the `SHOWN` steps."""
    figure = Figure(figsize=(10, 7), layout="constrained", dpi=120)
    figure.get_layout_engine().set(hspace=0.2)
    panels = figure.subplots(2 * len(films), len(SHOWN))
    for axes in panels.flat:
        axes.set_axis_off()
    for game in range(2):
        for place, film in enumerate(films):
            line = panels[len(films) * game + place]
            words = f"{film.words}: the choice earns {film.choice_earns[game]:+.0f}"
            title = line[0].text(0, 1.08, words, transform=line[0].transAxes, fontsize=8)
            title.set_in_layout(False)  # it is wider than its column
            for axes, step in zip(line, SHOWN, strict=True):
                if step >= film.begin:
                    axes.imshow(film.frames[game, step - film.begin], interpolation="nearest")
                if game == place == 0:
                    axes.text(0.5, 1.35, f"step {step}", transform=axes.transAxes, ha="center", fontsize=9)
    figure.savefig(out)
