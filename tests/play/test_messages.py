"""What a page may say, and what is refused; no message of any kind breaks a session."""

import json
import random

import pytest

from edeline_jax.play.messages import FIELDS, Message, MessageError, parse
from edeline_jax.play.session import Session
from tests.play.stages import make_action_stage

GOOD = (
    {"kind": "act", "action": 2},
    {"kind": "act", "action": None},
    {"kind": "world", "world": "dream"},
    {"kind": "driver", "driver": "policy"},
    {"kind": "pause", "paused": False},
    {"kind": "step"},
    {"kind": "reset"},
    {"kind": "next", "by": -1},
    {"kind": "horizon", "horizon": None},
    {"kind": "horizon", "horizon": 25},
    {"kind": "sampler", "steps": 1, "order": 1, "churn": 0},
    {"kind": "temperature", "reward": 1.5, "end": 0},
    {"kind": "pace", "pace": 60},
    {"kind": "strip", "shown": True},
    {"kind": "look", "episode": 0, "step": 5},
    {"kind": "start", "episode": 2, "step": 0},
    {"kind": "record", "on": True},
    {"kind": "download", "file": "dataset"},
    {"kind": "seen"},
)


def test_every_kind_of_message_is_read() -> None:
    assert {message["kind"] for message in GOOD} == set(FIELDS)
    for message in GOOD:
        values = {name: value for name, value in message.items() if name != "kind"}
        assert parse(json.dumps(message)) == Message(message["kind"], values)


def test_a_session_takes_every_kind_but_that_of_the_socket() -> None:
    assert all(hasattr(Session, f"_on_{kind}") == (kind != "seen") for kind in FIELDS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 900, "no JSON"),
        ("1" * 1000, "no known kind"),
        ("1" * 1001, "1001 characters, at most 1000"),
        ("[]", "no known kind"),
        ('{"kind": ["act"]}', "no known kind"),
        ('{"kind": "close"}', "no known kind"),
        ('{"kind": "act"}', "act: has the fields action"),
        ('{"kind": "step", "by": 1}', "step: has the fields none"),
        ('{"kind": "act", "action": -1}', "act: a wrong value of action"),
        ('{"kind": "act", "action": true}', "wrong value"),
        ('{"kind": "act", "action": 1.0}', "wrong value"),
        ('{"kind": "temperature", "reward": NaN, "end": 1}', "wrong value of reward"),
        ('{"kind": "temperature", "reward": 1, "end": 1e999}', "wrong value of end"),
        ('{"kind": "sampler", "steps": 11, "order": 1, "churn": 0}', "wrong value of steps"),
        ('{"kind": "sampler", "steps": 1, "order": 3, "churn": 0}', "wrong value of order"),
        ('{"kind": "sampler", "steps": 1, "order": 1, "churn": -1}', "wrong value of churn"),
        ('{"kind": "pace", "pace": 61}', "wrong value"),
        ('{"kind": "download", "file": "/etc/passwd"}', "wrong value"),
    ],
)
def test_others_are_refused(text: str, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        parse(text)


VALUES = (
    None,
    True,
    -1,
    0,
    1,
    2.5,
    10**9,
    10**400,
    1e308,
    "",
    "dream",
    "both",
    "x" * 90,
    [],
    {},
    [1],
    "\ud800",
    "\x00",
)


def mutated(rng: random.Random) -> str:
    """A message with a part that is another, too many or missing, or with other characters."""
    message = dict(rng.choice(GOOD))
    for _ in range(rng.randrange(3)):
        name = rng.choice([*message, "kind", "more"])
        if rng.random() < 0.2:
            message.pop(name, None)
        else:
            message[name] = rng.choice([*VALUES, rng.choice(list(FIELDS)), rng.randrange(-5, 40)])
    text = json.dumps(message)
    for _ in range(rng.choice((0, 0, 1, 3))):
        place = rng.randrange(len(text) + 1)
        text = text[:place] + chr(rng.choice((0, 34, 44, 91, 92, 123, 125, 48, 0xD7FF, 0x1F600))) + text[place + 1 :]
    return text


def test_two_thousand_random_messages_break_nothing() -> None:
    """Each is refused with a reason that fits into a closing frame, or played."""
    rng = random.Random(0)
    stage = make_action_stage()
    session = Session(stage, 0)
    compiled = ("sampler",)  # each would compile a program
    heard, refused = set(), 0
    for number in range(2000):
        if rng.random() < 0.1:
            text = "".join(chr(rng.randrange(1, 300)) for _ in range(rng.randrange(60)))
        else:
            text = mutated(rng)
        try:
            message = parse(text)
            if message.kind not in compiled and message.kind != "seen":
                session.receive(message)
            heard.add(message.kind)
        except MessageError as error:
            refused += 1
            assert 0 < len(str(error).encode()) <= 123
        if number % 4 == 0:
            session.tick()
    session.close()
    stage.programs.close()
    assert heard == set(FIELDS) and 200 < refused < 1800
