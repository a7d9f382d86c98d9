"""ViZDoom: the five scenarios of the paper, with its rewards and time limits (appendix)."""

import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edeline_jax.envs.area import resize
from edeline_jax.envs.family import Family
from edeline_jax.envs.game import Moment
from edeline_jax.envs.stepping import Games, make_games
from edeline_jax.envs.vector import EnvSettings

PREFIX = "vizdoom/"
MEDKIT = 25  # health points


class Player(NamedTuple):
    """What the engine says of the player. Damage taken and healed are sums over the game."""

    kills: float
    health: float
    armor: float
    damage: float
    x: float
    dead: bool

    @property
    def healed(self) -> float:
        """All health points that medkits gave, and those of the start."""
        return self.health + self.damage


class Scenario(NamedTuple):
    """A scenario: its time limit in steps, the reward of a step from one player to the next, and what a success is."""

    limit: int
    reward: Callable[[Player, Player], float]
    success: Callable[[Player], bool]


def _kills(old: Player, new: Player) -> float:
    return new.kills - old.kills


def _corridor(old: Player, new: Player) -> float:
    hurt, moved_back = new.damage > old.damage, new.x < old.x  # the armour is at the end, where x is largest
    return _kills(old, new) + (new.armor > old.armor) - 0.01 * hurt - 0.01 * moved_back


def _medkits(old: Player, new: Player) -> float:
    return float(np.ceil((new.healed - old.healed) / MEDKIT))  # the last one may give less, health ends at 100


SCENARIOS = {
    "basic": Scenario(75, _kills, lambda player: player.kills > 0),
    "deadly_corridor": Scenario(512, _corridor, lambda player: player.armor > 0),
    "defend_the_center": Scenario(
        512, lambda old, new: _kills(old, new) - (new.dead and not old.dead), lambda player: not player.dead
    ),
    "health_gathering": Scenario(512, _medkits, lambda player: not player.dead),
    "predict_position": Scenario(75, _kills, lambda player: player.kills > 0),
}


class VizdoomGame:
    """One scenario in an engine of its own: no-op or one button at a time, each held for `frame_skip` frames.

    A game is measured by kills, health, armour and success. The engine has no screen after the end, so the last frame
    is the one before it.
    """

    def __init__(self, settings: EnvSettings, seed: int) -> None:
        """Starts the engine."""
        self._size, self._skip = settings.size, settings.frame_skip
        name = settings.id.removeprefix(PREFIX)
        self._scenario = SCENARIOS[name]
        with tempfile.TemporaryDirectory(prefix="vizdoom-") as folder:
            self._game = _start(name, self._scenario.limit * self._skip, seed, Path(folder))
        self._is_new = True
        self.num_actions = self._game.get_available_buttons_size() + 1

    def reset(self) -> np.ndarray:
        """See `Game`."""
        if not self._is_new:
            self._game.new_episode()
        self._is_new = False
        self._player = self._read()
        self._frame = self._see()
        return self._frame

    def step(self, action: int) -> Moment:
        """See `Game`; action 0 is no button."""
        game, before = self._game, self._player
        game.make_action([float(action == button) for button in range(1, self.num_actions)], self._skip)
        self._player = after = self._read()
        over = game.is_episode_finished()
        if not over:
            self._frame = self._see()
        late = over and game.is_episode_timeout_reached() and not after.dead
        measures = (after.kills, after.health, after.armor, float(self._scenario.success(after)))
        return Moment(self._frame, self._scenario.reward(before, after), over and not late, late, measures)

    def close(self) -> None:
        """See `Game`."""
        self._game.close()

    def _see(self) -> np.ndarray:
        return resize(self._game.get_state().screen_buffer, self._size)

    def _read(self) -> Player:
        from vizdoom import GameVariable as Variable

        names = (Variable.KILLCOUNT, Variable.HEALTH, Variable.ARMOR, Variable.DAMAGE_TAKEN, Variable.POSITION_X)
        return Player(*map(self._game.get_game_variable, names), self._game.is_player_dead())


def _start(name: str, limit: int, seed: int, folder: Path) -> Any:
    """The engine with a scenario, whose games end after `limit` frames; once it runs, it does without `folder`."""
    import vizdoom

    game = vizdoom.DoomGame()
    game.load_config(str(Path(vizdoom.scenarios_path) / f"{name}.cfg"))
    starter = folder / "engine"
    engine = Path(vizdoom.__file__).with_name("vizdoom")
    words = (sys.executable, "-I", "-S", Path(__file__).with_name("doom_engine.py"), os.getpid(), engine)
    starter.write_text(f'#!/bin/sh\ncd {shlex.quote(str(folder))} && exec {shlex.join(map(str, words))} "$@"\n')
    starter.chmod(0o700)
    game.set_vizdoom_path(str(starter))
    game.set_doom_config_path(os.devnull)  # where it would leave its settings at its end
    game.set_window_visible(False)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    game.set_episode_timeout(limit)
    game.set_seed(seed)
    game.init()
    return game


def make(settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> Games:
    """Games of ViZDoom; `lives_end` has no effect, since there is one life."""
    del lives_end
    return make_games(partial(VizdoomGame, settings), settings, num_envs, seed)


def check(settings: EnvSettings) -> None:
    """Raises ValueError if the package is missing."""
    try:
        import vizdoom  # noqa: F401
    except ImportError as error:
        raise ValueError("vizdoom is not installed: pip install 'edeline-jax[vizdoom]'") from error


FAMILY = Family(
    config="vizdoom",
    title="ViZDoom, the paper's five scenarios",
    ids=tuple(f"{PREFIX}{name}" for name in SCENARIOS),
    make=make,
    check=check,
    measures=lambda id: ("kills", "health", "armor", "success"),
    shows_last_frame=False,
)
