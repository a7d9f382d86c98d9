"""How environments are spelt here and elsewhere, and which is meant by a name that is none."""

import difflib
import re
from collections.abc import Iterable


def plain(name: str) -> str:
    """A name in lower case with underscores, without the packages' prefixes and versions.

    "ALE/MsPacman-v5" and "MsPacmanNoFrameskip-v4" become "ms_pacman", "MiniGrid-Empty-5x5-v0" becomes "empty_5x5".
    """
    name = re.sub(r"^(.*/|MiniGrid-)|(NoFrameskip|Deterministic)?-v\d+$", "", name).replace("-", "_")
    return re.sub(r"(?<=[a-z])(?=[A-Z]|\d[a-z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def nearest(name: str, ids: Iterable[str]) -> list[str]:
    """The id that is only spelt otherwise; if there is none, at most three that are spelt nearly so."""
    by_plain = {plain(id): id for id in reversed([*ids])}  # of equal ones the first
    word = plain(name)
    words = [word] if word in by_plain else difflib.get_close_matches(word, by_plain)
    return [by_plain[word] for word in words]
