"""Catch: the smallest game with pixels, for tests and first runs."""

from functools import partial

import numpy as np

from edeline_jax.envs.family import Family
from edeline_jax.envs.pool import Pool
from edeline_jax.envs.vector import EnvSettings

ROWS, COLUMNS = 10, 5
# RGB of an empty cell, a cell with the ball, a cell with the paddle.
PALETTE = np.array([[20, 20, 40], [255, 220, 60], [60, 200, 255]], np.uint8)
EMPTY, BALL, PADDLE = range(3)


class Catch(Pool):
    """N boards of 10x5 cells: a ball falls one row per step, the paddle in the bottom row catches it (+1) or not (-1).

    Actions: left, stay, right. An episode is 9 steps; the reward comes with its end. A random policy gets about -0.61.
    """

    def __init__(self, *, num_envs: int, seed: int, size: int) -> None:
        """Builds the boards, drawn as `size` x `size` pixels; `size` not in {20, 30, 40, ...} raises ValueError."""
        check_size(size)
        super().__init__(
            "Catch-v0", partial(_draw, size), num_envs=num_envs, seed=seed, size=size, height=ROWS, width=COLUMNS
        )


def make(settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> Catch:
    """Boards of `settings.size`; `lives_end` has no effect, since Catch has no lives."""
    del lives_end
    return Catch(num_envs=num_envs, seed=seed, size=settings.size)


def check_size(size: int) -> None:
    """Raises ValueError if a board cannot be drawn as `size` x `size` pixels."""
    if size < 2 * ROWS or size % ROWS:
        below = max(2, size // ROWS) * ROWS
        nearest = f"{below} or {below + ROWS}" if size > below else f"{below}"
        raise ValueError(f"size must be a multiple of {ROWS} and at least {2 * ROWS}, got {size}: take {nearest}")


def _draw(size: int, boards: np.ndarray) -> np.ndarray:
    """Float boards [N,10,5] of zeros and ones -> frames, uint8 [N,size,size,3].

    The board does not tell a landed ball from the paddle, so the bottom row has the paddle's colour throughout: the
    last frame of an episode shows one such cell after a catch and two after a miss.
    """
    cells = np.where(boards > 0, BALL, EMPTY)
    cells[:, -1] = np.where(boards[:, -1] > 0, PADDLE, EMPTY)
    return PALETTE[cells].repeat(size // ROWS, axis=1).repeat(size // COLUMNS, axis=2)


FAMILY = Family("catch", "the smallest game with pixels", ("catch",), make, lambda settings: check_size(settings.size))
