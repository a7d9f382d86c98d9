"""Converts nested mappings to dataclasses and back; checks keys, types and ranges."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from edeline_jax.config.schema import Choice, Config, Range
from edeline_jax.runtime.errors import ConfigError, shorten

INFINITY = "inf"  # JSON has no number for it


def to_dict(config: Config) -> dict[str, Any]:
    """The nested mapping that `pour` turns back into `config`; what JSON can hold, with tuples for its lists."""
    return dataclasses.asdict(
        config, dict_factory=lambda items: {key: INFINITY if value == math.inf else value for key, value in items}
    )


def leaves(tree: Any, key: str = "config") -> dict[str, Any]:
    """The values of a nested mapping by their full keys, `config.seed`."""
    if not isinstance(tree, dict):
        return {key: tree}
    return {k: leaf for name in tree for k, leaf in leaves(tree[name], f"{key}.{name}").items()}


def completed(values: Any, cls: type = Config) -> Any:
    """The config of an earlier run, nested, with the defaults of the keys that it lacks because they came later."""
    if not isinstance(values, Mapping):
        return values
    kinds = typing.get_type_hints(cls)
    whole = dict(values)
    for field in dataclasses.fields(cls):
        later = field.default is not dataclasses.MISSING
        if dataclasses.is_dataclass(kinds[field.name]):
            if field.name in whole or later:
                whole[field.name] = completed(whole.get(field.name, {}), kinds[field.name])
        elif later:
            whole.setdefault(field.name, field.default)
    return whole


def fill(cls: type, values: Any, path: str) -> Any:
    """Makes an instance of the dataclass `cls` from a mapping; `path` is its name in errors."""
    values = values.to_dict() if hasattr(values, "to_dict") else values
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path}: expected a group of keys, got {shorten(repr(values))}")
    kinds = typing.get_type_hints(cls, include_extras=True)
    for key in values:
        if key not in kinds:
            raise ConfigError(f"{path}.{key}: unknown key; {path} has {', '.join(kinds)}")
    for field in dataclasses.fields(cls):
        if field.name not in values and field.default is dataclasses.MISSING:
            raise ConfigError(f"{path}.{field.name}: missing; add it, see configs/atari.py for its meaning")
    return cls(**{key: _convert(kinds[key], value, f"{path}.{key}") for key, value in values.items()})


def _convert(kind: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return fill(kind, value, path)
    if isinstance(kind, types.GenericAlias):
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{path}: expected a sequence, got {shorten(repr(value))}")
        return tuple(_convert(typing.get_args(kind)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if typing.get_origin(kind) is typing.Annotated:
        kind, limits = typing.get_args(kind)
        if value == INFINITY and isinstance(limits, Range) and limits.high == math.inf:
            value = math.inf
        return _limit(_convert(kind, value, path), limits, path)
    if kind is bool and isinstance(value, int) and value in (0, 1):
        return bool(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{path}: expected {kind.__name__}, got {type(value).__name__} {shorten(repr(value))}")
    return value


def _limit(value: Any, limits: Range | Choice, path: str) -> Any:
    if isinstance(limits, Choice):
        if value not in limits.values:
            raise ConfigError(
                f"{path}: must be one of {', '.join(map(str, limits.values))}, got {shorten(repr(value))}"
            )
    elif not limits.low <= value <= limits.high:  # written so that NaN fails too
        raise ConfigError(f"{path}: must {limits.words}, got {shorten(repr(value))}")
    return value
