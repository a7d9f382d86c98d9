"""Environments of Gymnasium whose frames, rewards and ends are known; importing this module registers them."""

import threading
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

ACTIONS = {
    "discrete": spaces.Discrete(3, start=5),
    "several": spaces.MultiDiscrete([2, 3], start=[0, 1]),
    "continuous": spaces.Box(-1, 1, (2,)),
    "too_many": spaces.MultiDiscrete([20] * 10),
    "bits": spaces.MultiBinary(4),
}
COLOURED, GREY, HIDDEN = (spaces.Box(0, 255, shape, np.uint8) for shape in ((2, 4, 3), (2, 4), (5,)))


def picture(game: int, step: int) -> np.ndarray:
    """Two rows of four pixels: the game's random number, then the step."""
    return np.repeat(np.array([[game], [10 * step]], np.uint8), 4, 1)[:, :, None].repeat(3, 2)


class Screen(gymnasium.Env):
    """Games of three steps; the reward is the action, of several choices their decimal digits."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 (Gymnasium's own way)

    def __init__(self, actions: str = "discrete", shows: str = "coloured", render_mode: str | None = None):
        self.action_space = ACTIONS[actions]
        self.observation_space = {"coloured": COLOURED, "grey": GREY}.get(shows, HIDDEN)
        self.render_mode = render_mode
        self._shows = shows
        if shows == "nothing":
            self.metadata = {"render_modes": ["human"]}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._game, self._step = int(self.np_random.integers(256)), 0
        return self._obs(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert self.action_space.contains(action)
        self._step += 1
        digits = np.atleast_1d(action)
        return self._obs(), float(digits @ 10 ** np.arange(len(digits))), self._step == 3, False, {}

    def render(self) -> np.ndarray | None:
        return picture(self._game, self._step) if self.render_mode == "rgb_array" else None

    def _obs(self) -> np.ndarray:
        full = picture(self._game, self._step)
        return {"coloured": full, "grey": full[:, :, 0]}.get(self._shows, np.zeros(5, np.uint8))


class Brittle(Screen):
    """Fails at action 7."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        return super().step(action + 0 // (action - 7))


class Slow(Screen):
    """A step takes minutes."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        time.sleep(600)
        return super().step(action)


class Meeting(Screen):
    """A step waits until three environments are stepped."""

    barrier = threading.Barrier(3, timeout=10)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.barrier.wait()
        return super().step(action)


gymnasium.register("Screen-v0", Screen)
gymnasium.register("Brittle-v0", Brittle)
gymnasium.register("Slow-v0", Slow)
gymnasium.register("Meeting-v0", Meeting)
gymnasium.register("ShortScreen-v0", Screen, max_episode_steps=2)
