"""Atari without envpool: the emulator, OpenCV, and the preprocessing written out frame by frame."""

from typing import NamedTuple

import ale_py
import cv2
import numpy as np

LINES = 210  # envpool shows no more of the games whose screens are taller
ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


class Outcome(NamedTuple):
    frame: np.ndarray  # uint8 [size,size,3]
    reward: float
    life_lost: bool
    game_over: bool


class Emulator:
    """One game, no sticky actions, minimal action set."""

    def __init__(self, game: str, size: int, frame_skip: int) -> None:
        self.size, self.frame_skip = size, frame_skip
        self.ale = ale_py.ALEInterface()
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(ale_py.roms.get_rom_path(game))
        self.actions = self.ale.getMinimalActionSet()

    def reset(self, noops: int) -> np.ndarray:
        """Starts a game, waits `noops` emulator frames, returns uint8 [size,size,3]."""
        self.ale.reset_game()
        for _ in range(noops):
            self.ale.act(0)
        self.screen = self.ale.getScreenRGB()
        return self._resize(self.screen)

    def step(self, action: int) -> Outcome:
        """Holds an action for `frame_skip` frames; the last two are merged, or what there is of them at a game over.

        A game that ends before those two frames shows the screen of the step before.
        """
        lives, reward, screens = self.ale.lives(), 0, []
        for i in range(self.frame_skip):
            reward += self.ale.act(self.actions[action])
            if i >= self.frame_skip - 2:
                screens.append(self.ale.getScreenRGB())
            if self.ale.game_over():
                break
        self.screen = np.max(screens, axis=0) if screens else self.screen
        return Outcome(self._resize(self.screen), reward, self.ale.lives() < lives, self.ale.game_over())

    def _resize(self, screen: np.ndarray) -> np.ndarray:
        return cv2.resize(screen[:LINES], (self.size, self.size), interpolation=cv2.INTER_AREA)
