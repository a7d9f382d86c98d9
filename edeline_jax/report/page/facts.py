"""What a run was: its config beside the paper's, its machines and versions, its hours."""

import json
from typing import Any, NamedTuple

from etils.epath import Path

from edeline_jax.config import pour, to_dict
from edeline_jax.config.files import SHIPPED, load
from edeline_jax.config.pouring import completed, leaves
from edeline_jax.report.runs import UNUSABLE
from edeline_jax.runtime.errors import one_line, shorten
from edeline_jax.workdir.folder import RunFolder

OWN = ("env.id", "seed", "wandb.")  # keys that do not make a run another than the paper's


class Difference(NamedTuple):
    """A key of a run's config that is not as in the paper's; "–" where only the other has it."""

    key: str
    ours: str
    paper: str


def differences_from_paper(values: Any) -> list[Difference]:
    """The keys of a run's config, nested, that differ from `configs/atari.py`."""
    paper = leaves(json.loads(json.dumps(to_dict(pour(load(str(SHIPPED / "atari.py")))))), "")
    ours = leaves(completed(values), "")
    keys = [key for key in dict.fromkeys([*paper, *ours]) if not key.removeprefix(".").startswith(OWN)]
    return [
        Difference(key.removeprefix("."), _text(ours, key), _text(paper, key))
        for key in keys
        if key not in ours or key not in paper or ours[key] != paper[key]
    ]


def _text(tree: dict[str, Any], key: str) -> str:
    return shorten(json.dumps(tree[key])) if key in tree else "–"


def starts(folder: RunFolder) -> list[dict[str, Any]]:
    """What each start of the run wrote about its machine and versions; empty for runs before there were such lines."""
    try:
        lines = [json.loads(line) for line in folder.starts.read_text().splitlines() if line.strip()]
    except UNUSABLE:
        return []
    return [line for line in lines if isinstance(line, dict)]


def read_config(folder: Path) -> tuple[Any, str]:
    """The run's config, nested, or why it cannot be read."""
    try:
        return json.loads(RunFolder(folder).config.read_text()), ""
    except UNUSABLE as error:
        return {}, one_line(error)
