"""Draws what a world model dreams of Recall with and without a history that reaches back to the cue.

It dreams two games, along the recorded actions, from the fifth frame on: from all five, and from the newest four, which
do not show the cue.
"""

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


def dream(params: Params, setup: Setup, games: Chunk) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Two games, the first with a red cue and the second with a blue one, and how each is dreamt.

    Args:
      params: of the world model.
      games: of this delay, with both cues among them.

    Returns:
      Frames uint8 [2, DELAY + 2, H, W, 3], and by what was given those from `BEGIN` on, uint8.
    """
    is_red = games.frames[:, 0, -1, -1, 0] > games.frames[:, 0, -1, -1, 2]
    chosen = np.array([is_red.argmax(), is_red.argmin()])
    frames, actions = games.frames[chosen], games.actions[chosen]
    dreams = {}
    for words, first in {"all frames since the cue": 0, "the newest four frames": BEGIN - 3}.items():
        given, there = frames[:, first : BEGIN + 1], np.ones((2, BEGIN + 1 - first), bool)
        start = pad(given, actions[:, first : BEGIN + 1], jnp.zeros(there.shape), ~there, there)
        model, sampler = setup.agent.world_model, setup.world_model_env
        dreamt = imagine(params, model, start, actions[:, BEGIN : DELAY + 1], jax.random.key(0), sampler)
        dreams[words] = np.concatenate([given[:, -1:], from_float(dreamt.frames)], 1)
    return frames, dreams


def draw(frames: np.ndarray, dreams: dict[str, np.ndarray], out: str) -> None:
    """A row per game and dream, a column for each of the `SHOWN` steps."""
    rows = [("the game", frames, 0), *((f"given {words}", dreamt, BEGIN) for words, dreamt in dreams.items())]
    figure = Figure(figsize=(10, 6), layout="constrained", dpi=120)
    panels = figure.subplots(2 * len(rows), len(SHOWN))
    for axes in panels.flat:
        axes.set_axis_off()
    for game in range(2):
        for place, (words, film, begin) in enumerate(rows):
            line = panels[len(rows) * game + place]
            line[0].set_title(words, loc="left", fontsize=8)
            for axes, step in zip(line, SHOWN, strict=True):
                if step >= begin:
                    axes.imshow(film[game, step - begin], interpolation="nearest")
                if game == place == 0:
                    axes.text(0.5, 1.35, f"step {step}", transform=axes.transAxes, ha="center", fontsize=9)
    figure.savefig(out)
