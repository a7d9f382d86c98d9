"""docs/fidelity.md names every key of the reference, and every key of ours."""

import re
from pathlib import Path

from configs.atari import get_config
from edeline_jax.agent import authors
from edeline_jax.config import leaves
from tests.runs import ROOT

PAGE = (ROOT / "docs" / "fidelity.md").read_text()
THEIRS = (Path(__file__).parent / "reference_keys.txt").read_text().split()
OURS = [key.removeprefix("config.") for key in leaves(get_config().to_dict())]
ROWS = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", PAGE, re.MULTILINE))
ALONE = re.search(r"^Ours alone: (.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)[1]


def keys_in(text: str) -> list[str]:
    return re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)`", text)


def test_every_key_of_the_reference_has_its_row() -> None:
    assert len(THEIRS) == len(set(THEIRS)) == 128
    assert list(ROWS) == THEIRS
    assert f"All {len(THEIRS)} keys" in PAGE


def test_a_row_names_ours_or_says_why_there_is_none() -> None:
    for key in THEIRS:
        ours = [
            ours for ours in OURS if authors._counterpart(ours, authors.EDELINE) == key and ours not in keys_in(ALONE)
        ]
        if ROWS[key].startswith("none: "):
            assert not ours and len(ROWS[key]) > len("none: "), key
        else:
            named = [name for name in keys_in(ROWS[key]) if name in OURS]
            assert named and (named == ours or key == named[0] == "collection.path_to_static_dataset"), key


def test_every_key_of_ours_is_in_the_table_or_alone() -> None:
    in_table = {name for row in ROWS.values() if not row.startswith("none: ") for name in keys_in(row)}
    assert {*in_table, *keys_in(ALONE)} >= set(OURS)
