"""What a page may say: JSON objects with a kind and its fields, every value checked before anything sees it."""

import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

MOST_BYTES = 1_000  # of a text; what is longer is no message
MOST_PICTURE_BYTES = 1_000_000

WORLDS = ("dream", "real", "both")
DRIVERS = ("you", "policy")
ORDERS = (1, 2)
FILES = ("gif", "mp4", "dataset")
MOST_STEPS_DENOISING = 10
MOST_HORIZON = 1_000
MOST = 2**31 - 1


class MessageError(ValueError):
    """A message that no page of ours sends; the text says why, and the socket is closed with it."""


class Message(NamedTuple):
    """A message of a known kind, with exactly the fields that the kind has; see `FIELDS`."""

    kind: str
    values: dict[str, Any]


Check = Callable[[Any], bool]


def _whole(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Check:
    return lambda value: type(value) in (int, float) and math.isfinite(value) and low <= value <= high


def _one_of(values: tuple) -> Check:
    return lambda value: type(value) in (str, int, float) and value in values


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _flag(value: Any) -> bool:
    return type(value) is bool


FIELDS: dict[str, dict[str, Check]] = {
    "act": {"action": _or_none(_whole(0, MOST))},  # held from now on; null: let go
    "world": {"world": _one_of(WORLDS)},
    "driver": {"driver": _one_of(DRIVERS)},
    "pause": {"paused": _flag},
    "step": {},  # one, and pauses
    "reset": {},  # the same start again
    "next": {"by": _one_of((-1, 1))},  # start
    "horizon": {"horizon": _or_none(_whole(1, MOST_HORIZON))},  # null: dream on
    "sampler": {
        "steps": _whole(1, MOST_STEPS_DENOISING),
        "order": _one_of(ORDERS),
        "churn": _number(0, MOST),
    },
    "temperature": {"reward": _number(0, 4), "end": _number(0, 4)},
    "pace": {"pace": _whole(1, 60)},  # steps per second
    "strip": {"shown": _flag},  # of the denoising
    "look": {"episode": _whole(0, MOST), "step": _whole(0, MOST)},  # at a recorded frame
    "start": {"episode": _whole(0, MOST), "step": _whole(0, MOST)},  # from a recorded frame
    "record": {"on": _flag},
    "download": {"file": _one_of(FILES)},
    "seen": {},  # a picture was drawn
}


def parse(text: str) -> Message:
    """Reads and checks a message.

    Raises:
      MessageError: it is not one.
    """
    if len(text) > MOST_BYTES:
        raise MessageError(f"a message of {len(text)} characters, at most {MOST_BYTES}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError("a message that is no JSON") from error
    kind = values.pop("kind", None) if isinstance(values, dict) else None
    if not isinstance(kind, str) or kind not in FIELDS:
        raise MessageError("a message of no known kind")
    fields = FIELDS[kind]
    if values.keys() != fields.keys():
        raise MessageError(f"{kind}: has the fields {', '.join(fields) or 'none'}")
    for name, check in fields.items():
        if not check(values[name]):
            raise MessageError(f"{kind}: a wrong value of {name}")
    return Message(kind, values)
