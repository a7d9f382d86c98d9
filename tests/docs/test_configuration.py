"""docs/configuration.md is what its generator makes, and has every key with a meaning."""

from typing import Annotated

import pytest

from configs import atari
from docs import configuration
from docs.configuration import Kind, comments, kind_of, page
from edeline_jax.config import leaves
from edeline_jax.config.schema import Choice, Range
from tests.runs import ROOT

SOURCE = """
def get_config():
    config = ConfigDict(
        dict(
            seed=0,  # of all draws
            env=environment(game),  # the game
            loss=dict(
                sigmas=(
                    1.0,
                    2.0,
                ),  # two of them
                limit=float("inf"),  # none
                name="no # comment",
            ),
        )
    )


def environment(game):
    return dict(
        id=game,  # its name
    )
"""


def test_the_page_is_made_from_schema_and_comments() -> None:
    """If not: `python -m docs.configuration > docs/configuration.md`."""
    assert (ROOT / "docs" / "configuration.md").read_text() == page()


def test_a_comment_belongs_to_the_key_beside_it() -> None:
    assert comments(SOURCE) == {
        "seed": "of all draws",
        "env": "the game",
        "env.id": "its name",
        "loss": "",
        "loss.sigmas": "two of them",
        "loss.limit": "none",
        "loss.name": "",
    }


def test_a_key_without_a_comment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    source = (ROOT / "configs" / "atari.py").read_text()
    line = "gamma=0.985,  # discount"
    assert line in source
    monkeypatch.setattr(configuration.inspect, "getsource", lambda module: source.replace(line, "gamma=0.985,"))
    with pytest.raises(ValueError, match=r"^configs/atari\.py: no comment beside actor_critic\.loss\.gamma$"):
        page()


def test_types_and_ranges_in_words() -> None:
    assert kind_of(str) == Kind("str", "")
    assert kind_of(Annotated[int, Range(1, 9, "be at least 1, and at most 9")]) == Kind(
        "int", "at least 1, and at most 9"
    )
    assert kind_of(Annotated[float, Range(0, 9, "not be negative")]) == Kind("float", "not negative")
    assert kind_of(Annotated[str, Choice(("a", "b"))]) == Kind("str", "`a`, `b`")
    few = Annotated[int, Range(1, 9, "be at least 1")]
    assert kind_of(tuple[few, ...]) == Kind("tuple of int", "each at least 1")
    assert kind_of(tuple[bool, ...]) == Kind("tuple of bool", "")


def test_every_key_and_group_has_a_row() -> None:
    rows = page().splitlines()
    assert "| `env.size` | int | at least 1, and at most 65,536 | `64` | side of a frame, pixels |" in rows
    assert "| `agent.denoiser.inner_model` | group |  |  | its U-Net |" in rows
    keys = {key.removeprefix("config.") for key in leaves(atari.get_config().to_dict())}
    inner_groups = {key.rsplit(".", 1)[0] for key in keys if key.count(".") > 1}
    assert {row.split("`")[1] for row in rows if row.startswith("| `")} >= keys | inner_groups
