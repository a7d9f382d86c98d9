"""What a run was: its config beside the paper's, its machines and versions, its hours."""

import json
from typing import Any, NamedTuple

from edeline_jax.config import pour, to_dict
from edeline_jax.config.files import SHIPPED, load
from edeline_jax.config.pouring import completed, leaves
from edeline_jax.report.runs import UNUSABLE
from edeline_jax.runtime.errors import shorten
from edeline_jax.workdir.folder import RunFolder

OWN = ("env.id", "seed", "wandb.")  # keys that do not make a run another than the paper's
STARTS = {"devices": "Hardware", "versions": "Versions"}  # key of a start -> its name on the page


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


def machines(folder: RunFolder) -> dict[str, str]:
    """Hardware, versions and times of the run's starts; empty for runs from before these were written down."""
    lines = _starts(folder)
    seen = {key: list(dict.fromkeys(str(line[key]) for line in lines if key in line)) for key in STARTS}
    times = [str(line["time"]) for line in lines if "time" in line]
    facts = {title: "; ".join(seen[key]) for key, title in STARTS.items() if seen[key]}
    if times:
        facts["Started"] = times[0] if len(times) == 1 else f"{len(times):,} times, {times[0]} to {times[-1]}"
    return facts


def _starts(folder: RunFolder) -> list[dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in folder.starts.read_text().splitlines() if line.strip()]
    except UNUSABLE:
        return []
    return [line for line in lines if isinstance(line, dict)]
