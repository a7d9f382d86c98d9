"""What the actions of a game are called, and which buttons they are on a keyboard, a gamepad or a phone."""

import functools
import re
from pathlib import Path
from typing import NamedTuple

from edeline_jax.envs.games import EVERY_GAME

BUTTONS = ("up", "right", "left", "down", "fire")
ATARI = "NOOP FIRE UP RIGHT LEFT DOWN UPRIGHT UPLEFT DOWNRIGHT DOWNLEFT"
EVERY_ATARI_ACTION = tuple(f"{ATARI} UPFIRE RIGHTFIRE LEFTFIRE DOWNFIRE".split()) + tuple(
    f"{way}FIRE" for way in ("UPRIGHT", "UPLEFT", "DOWNRIGHT", "DOWNLEFT")
)
CRAFTER = (
    "NOOP LEFT RIGHT UP DOWN do sleep place_stone place_table place_furnace place_plant make_wood_pickaxe "
    "make_stone_pickaxe make_iron_pickaxe make_wood_sword make_stone_sword make_iron_sword"
)
KNOWN = {
    "catch": ("LEFT", "NOOP", "RIGHT"),
    "crafter": tuple(CRAFTER.split()),
    "minigrid": ("LEFT", "RIGHT", "forward", "pick up", "drop", "toggle", "done"),
}
MEANT = {"forward": ("up",), "do": ("fire",), "toggle": ("fire",)}  # buttons of names that are not made of them


class Action(NamedTuple):
    """An action: its name, and the buttons that are held for it, of `BUTTONS`; it may have none."""

    name: str
    buttons: tuple[str, ...]


def name_actions(game: str, family: str, num_actions: int) -> tuple[Action, ...]:
    """The actions of an environment, by number; those of unknown names are numbered.

    Args:
      game: its id in a config.
      family: the name of its family's config file.
    """
    names = _names(game, family)
    if len(names) != num_actions:
        names = tuple(f"action {number}" for number in range(num_actions))
    return tuple(Action(name, MEANT.get(name, _buttons(name))) for name in names)


def idle_action(actions: tuple[Action, ...]) -> int | None:
    """The number of the action that does nothing; None if there is none, and the game waits for a key."""
    return next((number for number, action in enumerate(actions) if action.name == "NOOP"), None)


def _names(game: str, family: str) -> tuple[str, ...]:
    if family == "atari":
        return _atari().get(game, EVERY_ATARI_ACTION)
    if family == "vizdoom":
        return ("NOOP",)  # of its buttons only the number is known
    return KNOWN.get(family, ())


def _buttons(name: str) -> tuple[str, ...]:
    """ "UPRIGHTFIRE" -> up, right, fire."""
    found = re.findall("|".join(button.upper() for button in BUTTONS), name)
    return tuple(map(str.lower, found)) if "".join(found) == name else ()


@functools.cache
def _atari() -> dict[str, tuple[str, ...]]:
    """The actions of the games that do not have all 18, as the Arcade Learning Environment numbers them."""
    rows = (line.split("\t") for line in Path(__file__).with_name("atari_actions.tsv").read_text().splitlines())
    return {game: tuple(names.split()) for names, games in rows for game in games.split() if game in EVERY_GAME}
