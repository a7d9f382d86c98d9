"""Paths on disks and in buckets, and files that grow line by line."""

from pathlib import Path

import pytest

from edeline_jax.runtime import files
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import Lines, to_path


def test_without_its_library_a_bucket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'edeline-jax\[gcs\]'"):
        to_path("gs://bucket/run")


def test_lines_go_on_after_one_that_was_cut_short(tmp_path: Path) -> None:
    path = to_path(str(tmp_path / "lines"))
    path.write_text("whole\ncut sh")
    lines = Lines(path)
    lines.append("next")
    assert path.read_text().splitlines() == ["whole", "cut sh", "next"]
