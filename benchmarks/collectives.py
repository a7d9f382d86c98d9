"""What the devices of a compiled program send each other, read from its HLO text."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast"
_OPERATION = re.compile(rf"= (?P<type>.*?) (?P<kind>{'|'.join(KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+)(\d*)\w*\[([\d,]*)\]")
_CALLED = re.compile(r"(\w+)=\{?((?:%[\w.-]+(?:, )?)+)")


class Collective(NamedTuple):
    """One operation; `depth` is how many loops stand around it."""

    kind: str
    arrays: int
    bytes: int  # of its result on one device; for an all-reduce that is what it adds up
    depth: int
    op_name: str  # where in the program it comes from


def collectives(text: str) -> list[Collective]:
    """All of a module's, in the order of the text."""
    callers = _callers(text)
    return [
        Collective(
            match["kind"],
            len(_ARRAY.findall(match["type"])),
            sum(_bytes(*array) for array in _ARRAY.findall(match["type"])),
            _depth(computation, callers),
            (re.findall(r'op_name="([^"]*)"', line) or [""])[0],
        )
        for computation, line in _instructions(text)
        if (match := _OPERATION.search(line))
    ]


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """(computation, line) of every instruction."""
    computation = ""
    for line in text.splitlines():
        if line.endswith("{") and not line.startswith(" "):
            computation = line.removeprefix("ENTRY ").split()[0].lstrip("%")
        elif " = " in line:
            yield computation, line


def _callers(text: str) -> dict[str, tuple[str, bool]]:
    """For each computation the one that calls it, and whether it is the body of a loop there."""
    callers = {}
    for caller, line in _instructions(text):
        for role, names in _CALLED.findall(line):
            for name in names.split(", "):
                callers[name.lstrip("%")] = caller, role == "body"
    return callers


def _depth(computation: str, callers: dict[str, tuple[str, bool]]) -> int:
    depth = 0
    while computation in callers:
        computation, is_body = callers[computation]
        depth += is_body
    return depth


def _bytes(letters: str, bits: str, dimensions: str) -> int:
    """Of an array like `bf16[3,64]`; `pred` has no number and takes a byte."""
    return math.prod(map(int, dimensions.split(",") if dimensions else [])) * (int(bits) // 8 if bits else 1)
