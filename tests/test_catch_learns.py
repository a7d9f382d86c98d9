"""The shortened form of benchmarks/RESULTS.md, "It learns": the first three of sixteen epochs."""

import json
from pathlib import Path

import pytest

from tests.runs import train


@pytest.mark.slow
def test_a_policy_from_imagination_alone_beats_chance(tmp_path: Path) -> None:
    """Random play returns -0.61 +- 0.08 (mean of 100 games); the full run passes 0.2 after this many updates."""
    shorter = ("--config.collection.num_steps_total=4_800", "--config.training.num_final_epochs=0")
    result = train(tmp_path, *shorter, config="configs/catch.py", timeout=3600)
    assert result.returncode == 0, result.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["num_games"] == 100 and summary["progress"]["env_steps"] == 4_800
    assert summary["return_mean"] > 0.0
