"""Prints docs/configuration.md: every key of a config with its type, range, default and meaning.

    python -m docs.configuration > docs/configuration.md

Types and ranges are those of edeline_jax/config/schema.py, defaults those of configs/atari.py:breakout. The meaning of
a key or group is the comment beside it in configs/atari.py.
"""

import ast
import dataclasses
import inspect
import io
import tokenize
import typing
from typing import Annotated, Any, NamedTuple

from configs import atari
from edeline_jax.config import leaves
from edeline_jax.config.schema import Choice, Config

INTRODUCTION = """\
# Configuration

Made by `python -m docs.configuration > docs/configuration.md` from the schema of the config and the comments in
[configs/atari.py](../configs/atari.py): change those, not this page.

## Changing a key

- **A flag** changes one key of one run: `--config.actor_critic.loss.gamma=0.99`. Sequences need quotes:
  `--config.agent.actor_critic.channels="(16, 32, 32, 32)"`.
- **A preset** changes many: `--config=configs/atari.py:breakout,tiny` is the paper's run of Breakout, made small enough
  for a laptop. `python -m edeline_jax.train --list` names them all.
- **A file of your own** is an `ml_collections` file with a function `get_config`. The easiest way is to `load` another
  config and change it, as [configs/catch.py](../configs/catch.py) does. `configs/run.py:RUN` is the config of an
  existing run.

The files in `configs/` are installed with the package, so `--config=configs/atari.py:breakout`, or in short
`--config=atari:breakout`, works in every folder; a file of that path in the working folder comes first.

A key that is unknown, of the wrong type, out of range or at odds with another stops the run at once, with one line that
names it. [fidelity.md](fidelity.md) has the authors' names beside ours.

## Changing a key of an existing run

Every run keeps its config in `config.json`. When you resume it, the keys of `wandb`, `evaluation` and `checkpointing`
may change, and so may `tensorboard`, `training.should`, `training.num_final_epochs`, `collection.num_steps_total`,
`replay.placement` and `env.workers`. (If the total falls, the replay still keeps what it holds.) A change of any other
key is refused with a list, unless you allow it by name: `--allow_config_change=config.actor_critic.loss.gamma`.

## Keys

In the order of `configs/atari.py`. The defaults are those of `configs/atari.py:breakout`, the paper's run.
"""


class Kind(NamedTuple):
    """What a key may be, in words."""

    type: str
    limits: str = ""


GROUP = Kind("group")


def page() -> str:
    """The text of docs/configuration.md; raises ValueError if a key or group of the schema has no comment."""
    kinds, meanings = kinds_of(Config), comments(inspect.getsource(atari))
    without = [key for key in kinds if not meanings.get(key)]
    if without:
        raise ValueError(f"configs/atari.py: no comment beside {', '.join(without)}")
    defaults = leaves(atari.get_config().to_dict())
    sections = []
    for name in (key for key in kinds if "." not in key):
        lines = [f"### {name}", ""]
        if kinds[name] is GROUP:
            lines += [f"{meanings[name][0].upper()}{meanings[name][1:]}.", ""]
        lines += ["| key | type | range | default | meaning |", "|---|---|---|---|---|"]
        for key, kind in kinds.items():
            if key.startswith(f"{name}.") or (key == name and kind is not GROUP):
                default = "" if kind is GROUP else f"`{defaults[f'config.{key}']!r}`"
                lines.append(f"| `{key}` | {kind.type} | {kind.limits} | {default} | {meanings[key]} |")
        sections.append("\n".join(lines) + "\n")
    return "\n".join([INTRODUCTION, *sections])


def kinds_of(cls: type, prefix: str = "") -> dict[str, Kind]:
    """The kind of every key of a dataclass of the schema, by its full name; groups come before their keys."""
    kinds = {}
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        kinds[f"{prefix}{name}"] = GROUP if dataclasses.is_dataclass(hint) else kind_of(hint)
        if dataclasses.is_dataclass(hint):
            kinds |= kinds_of(hint, f"{prefix}{name}.")
    return kinds


def kind_of(hint: Any) -> Kind:
    """The kind of a key with this type."""
    if typing.get_origin(hint) is tuple:
        kind = kind_of(typing.get_args(hint)[0])
        return Kind(f"tuple of {kind.type}", kind.limits and f"each {kind.limits}")
    if typing.get_origin(hint) is Annotated:
        plain, limits = typing.get_args(hint)
        if isinstance(limits, Choice):
            return Kind(plain.__name__, ", ".join(f"`{value}`" for value in limits.values))
        return Kind(plain.__name__, limits.words.replace("be ", "", 1))  # of "must be at least 1", "must not be ..."
    return Kind(hint.__name__)


def comments(source: str) -> dict[str, str]:
    """The comment beside every key and group that `get_config` returns, by its full name; empty where there is none.

    Args:
      source: of a config file. `get_config` and the functions that it calls for groups hold one `dict(...)` each.
    """
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    by_line = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}

    def walk(call: ast.Call, prefix: str) -> dict[str, str]:
        found = {}
        for keyword in call.keywords:
            key, group = f"{prefix}{keyword.arg}", group_of(keyword.value)
            last = keyword.lineno if group else keyword.value.end_lineno
            beside = (by_line[line] for line in range(keyword.lineno, last + 1) if line in by_line)
            found |= {key: " ".join(beside), **(walk(group, f"{key}.") if group else {})}
        return found

    def group_of(value: ast.expr) -> ast.Call | None:
        name = getattr(getattr(value, "func", None), "id", None)
        return value if name == "dict" else first_dict(functions[name]) if name in functions else None

    return walk(first_dict(functions["get_config"]), "")


def first_dict(function: ast.FunctionDef) -> ast.Call:
    """The outermost `dict(...)` in a function."""
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    return next(call for call in calls if getattr(call.func, "id", None) == "dict")


if __name__ == "__main__":
    print(page(), end="")
