"""Names of actions and the buttons that stand for them."""

import ale_py
import pytest
from ale_py import ALEInterface, LoggerMode, roms

from edeline_jax.envs.games import EVERY_GAME
from edeline_jax.play.actions import Action, _atari, idle_action, name_actions


@pytest.mark.parametrize(
    "game", ["breakout", "pong", "freeway", "backgammon", "kung_fu_master", "alien", "journey_escape"]
)
def test_atari_actions_are_those_of_the_emulator(game: str) -> None:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ale_py.ALEInterface()
    emulator.loadROM(roms.get_rom_path(game))
    names = [action.name for action in emulator.getMinimalActionSet()]
    assert [action.name for action in name_actions(game, "atari", len(names))] == names


def test_a_table_of_actions_names_games_that_there_are() -> None:
    table = _atari()
    assert set(table) <= set(EVERY_GAME) and len(table) == 52
    for game, names in table.items():
        for action in name_actions(game, "atari", len(names)):
            assert "".join(button.upper() for button in action.buttons) == action.name.replace("NOOP", "")


def test_buttons_are_those_of_the_name() -> None:
    assert name_actions("breakout", "atari", 4) == (
        Action("NOOP", ()),
        Action("FIRE", ("fire",)),
        Action("RIGHT", ("right",)),
        Action("LEFT", ("left",)),
    )
    assert name_actions("alien", "atari", 18)[14] == Action("UPRIGHTFIRE", ("up", "right", "fire"))
    assert name_actions("MiniGrid-MemoryS7-v0", "minigrid", 7)[2] == Action("forward", ("up",))


def test_unknown_actions_are_numbered_and_may_have_none_that_idles() -> None:
    actions = name_actions("gymnasium/CartPole-v1", "gymnasium", 2)
    assert actions == (Action("action 0", ()), Action("action 1", ())) and idle_action(actions) is None
    assert idle_action(name_actions("catch", "catch", 3)) == 1
    assert name_actions("breakout", "atari", 6)[5].name == "action 5"  # a dataset of another action set
