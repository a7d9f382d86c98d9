"""Reads the HLO text of a compiled program: its collectives, and the cycles that the TPU compiler estimates."""

import functools
import math
import re
from typing import NamedTuple

KINDS = "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast"
_COLLECTIVE = re.compile(rf"= (?P<type>.*?) (?P<kind>{'|'.join(KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"\b[a-z]+(\d*)\w*\[([\d,]*)\]")  # bf16[3,64]
_CALLED = re.compile(r"(\w+)=\{?((?:%[\w.-]+(?:, )?)+)")  # body=%name, branch_computations={%name, %name}
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')


class Collective(NamedTuple):
    """One collective operation; `depth` is the number of loops around it."""

    kind: str
    arrays: int
    bytes: int  # of its result on one device; for an all-reduce that is the size of the arrays it sums
    depth: int
    op_name: str  # the part of the program that it comes from


def collectives(text: str) -> list[Collective]:
    """All collectives of a module, in the order of the text."""
    module = computations(text)
    callers = {
        callee: (caller, role) for caller, lines in module.items() for line in lines for role, callee in called(line)
    }

    def depth(name: str) -> int:
        caller, role = callers.get(name, ("", ""))
        return depth(caller) + (role == "body") if caller else 0

    return [
        Collective(
            match["kind"],
            len(_ARRAY.findall(match["type"])),
            type_bytes(match["type"]),
            depth(name),
            (re.findall(r'op_name="([^"]*)"', line) or [""])[0],
        )
        for name, lines in module.items()
        for line in lines
        if (match := _COLLECTIVE.search(line))
    ]


def update_cycles(text: str) -> int:
    """The TPU compiler's cycles of one iteration of the outermost loop, or of the whole program if it has none.

    Inner loops are multiplied by their trip count if their condition compares with a constant, and count once if not.
    Of a conditional the cheapest branch counts, so restarts and their burn-ins are left out.
    """
    module = computations(text)

    @functools.cache
    def cycles(name: str) -> int:
        return sum(line_cycles(line) for line in module[name])

    def line_cycles(line: str) -> int:
        callees = called(line)
        roles = dict(callees)
        if " while(" in line:
            return _turns(module[roles["condition"]]) * cycles(roles["body"])
        if " conditional(" in line:
            return min(cycles(branch) for _, branch in callees)
        return sum(map(int, _CYCLES.findall(line)))

    main = entry(text)
    loops = [cycles(dict(called(line))["body"]) for line in module[main] if " while(" in line]
    return max(loops, default=cycles(main))


def _turns(condition: list[str]) -> int:
    """The trip count of a loop that counts from 0, read from its condition; 1 if it is not known."""
    bounds = [bound for line in condition for bound in re.findall(r"s32\[\]\S* constant\((\d+)\)", line)]
    return int(bounds[0]) if len(bounds) == 1 else 1


def entry(text: str) -> str:
    """The name of a module's main computation."""
    return re.search(r"^ENTRY %?([\w.-]+)", text, re.MULTILINE)[1]


def computations(text: str) -> dict[str, list[str]]:
    """The instructions of each computation of a module, by its name."""
    module = {}
    lines = []
    for line in text.splitlines():
        if line.endswith("{") and not line.startswith(" "):
            lines = module[line.removeprefix("ENTRY ").split()[0].lstrip("%")] = []
        elif line.startswith("  "):
            lines.append(line)
    return module


def called(line: str) -> list[tuple[str, str]]:
    """(role, name) of the computations that an instruction calls."""
    return [(role, name.lstrip("%")) for role, names in _CALLED.findall(line) for name in names.split(", ") if name]


def type_bytes(of: str) -> int:
    """The size of the arrays of a type, `bf16[3,64]` or a tuple of such, in bytes."""
    return sum(_bytes(*array) for array in _ARRAY.findall(of))


def _bytes(bits: str, dimensions: str) -> int:
    """The size of an array in bytes; `pred` has no bit width and takes one byte per element."""
    return math.prod(map(int, dimensions.split(",") if dimensions else [])) * (int(bits) // 8 if bits else 1)
