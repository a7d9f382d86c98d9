"""MiniGrid and BabyAI: what the agent sees, drawn as the package `minigrid` draws it, of envpool's fast simulation."""

import functools
from pathlib import Path

import numpy as np

from edeline_jax.envs.area import resize
from edeline_jax.envs.family import Family
from edeline_jax.envs.minigrid_levels import LEVELS
from edeline_jax.envs.pool import Pool
from edeline_jax.envs.spelling import plain
from edeline_jax.envs.vector import EnvSettings, Transition

VIEW, TILE = 7, 16  # cells and pixels
AGENT = (3, 6)  # the cell (x, y) from which it looks up
TYPES, COLOURS, STATES = 16, 8, 4  # at least as many as there are


class MiniGrid(Pool):
    """N copies of one level: the 7x7 cells before the agent, area-resized.

    The frames equal those of gymnasium.make, RGBImgPartialObsWrapper (tiles of 16 pixels) and OpenCV's INTER_AREA. The
    mission of a level is not in them. Time limits are the package's. A game is a success if its reward is positive.
    """

    def __init__(self, settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> None:
        """Builds the levels; `lives_end` has no effect, since there are no lives."""
        del lives_end
        size = settings.size
        super().__init__(settings.id, lambda obs: draw(size, obs["image"]), num_envs=num_envs, seed=seed, size=size)

    def step(self, actions: np.ndarray) -> Transition:
        """See `Pool`. The only reward comes with the end."""
        transition = super().step(actions)
        return transition._replace(measures=transition.reward[:, None] > 0)


def level_id(name: str) -> str:
    """The id of a level by its short name, "memory_s7" for "MiniGrid-MemoryS7-v0"; other names stay as they are."""
    short = {plain(id): id for id in reversed(LEVELS)}  # of several versions the first
    return short.get(name, name)


def tiles(cells: np.ndarray) -> np.ndarray:
    """Pictures of cells, uint8 [...,4] (type, colour, state, whether the agent stands there) -> [...,16,16,3]."""
    numbers, pictures = _table()
    found = numbers[tuple(np.moveaxis(cells, -1, 0))]
    if (found < 0).any():
        raise ValueError(f"no picture of the cell {cells[found < 0][0].tolist()}: is envpool newer than 1.2.5?")
    return pictures[found]


def draw(size: int, symbols: np.ndarray) -> np.ndarray:
    """What the agent sees, uint8 [N,x,y,3] (type, colour, state) -> frames, uint8 [N,size,size,3]."""
    cells = np.pad(symbols, ((0, 0), (0, 0), (0, 0), (0, 1)))  # [N,x,y,4]
    cells[:, *AGENT, 3] = 1
    pixels = tiles(cells).transpose(0, 2, 3, 1, 4, 5)  # [N,y,16,x,16,3]
    return np.stack([resize(image, size) for image in pixels.reshape(-1, VIEW * TILE, VIEW * TILE, 3)])


@functools.cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    """The number of each cell's picture, int [type,colour,state,agent], -1 where there is none; and the pictures.

    They were drawn by the package `minigrid` 3.2.0: 47 cells, and the 19 that can be under the agent, which is what it
    carries. All but the first, an unseen cell, are highlighted.
    """
    with np.load(Path(__file__).with_name("minigrid_tiles.npz")) as file:
        keys, pictures = file["keys"], file["tiles"]
    numbers = np.full((TYPES, COLOURS, STATES, 2), -1)
    numbers[tuple(keys.T)] = np.arange(len(keys))
    return numbers, pictures


FAMILY = Family(
    config="minigrid",
    title="MiniGrid and BabyAI",
    ids=LEVELS,
    make=MiniGrid,
    measures=lambda id: ("success",),
)
