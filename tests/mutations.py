"""Random damage, for tests of what reads files and configs."""

import copy
from typing import Any

import numpy as np


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes cut off, flipped, overwritten, inserted or replaced altogether."""
    data, kind = bytearray(content), rng.integers(5)
    place = int(rng.integers(max(1, len(data))))
    if kind == 0:
        return bytes(data[:place])
    if kind == 1 and data:
        data[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        data[place : place + 8] = rng.bytes(8)
    elif kind == 3:
        data[place:place] = rng.bytes(16)
    else:
        return rng.bytes(len(data))
    return bytes(data)


ODD_VALUES = (
    None, True, -1, 0, 1.5, 10**12, -(10**30), float("nan"), float("inf"), "", "many", "\n\0",
    [], [1, "a"], {}, {"a": 1},
)  # fmt: skip


def mutated_tree(tree: Any, rng: np.random.Generator) -> Any:
    """A nested mapping with one place changed: an odd value, a missing key or an unknown one."""
    tree = copy.deepcopy(tree)
    parent, key = _places(tree)[rng.integers(len(_places(tree)))]
    kind = rng.integers(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[f"{key}_"] = parent[key]
    else:
        parent[key] = copy.deepcopy(ODD_VALUES[rng.integers(len(ODD_VALUES))])
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of nested dicts and lists."""
    if not isinstance(tree, (dict, list)):
        return []
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    return [place for key in keys for place in [(tree, key), *_places(tree[key])]]
