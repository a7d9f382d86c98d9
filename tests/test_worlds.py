"""Every family of environments through the real entry point: two epochs, with a stop between them."""

from pathlib import Path

import pytest

from edeline_jax.envs import measures
from tests.in_process import Changes, Stop, train_here
from tests.runs import rows, summary

TWO_EPOCHS = {"collection.num_steps_total": 120, "training.num_final_epochs": 0}  # 40 steps come before the first
# three actions as in Catch, so both share their programs
WORLDS = {"minigrid": ("envpool", {"env.id": "MiniGrid-Dynamic-Obstacles-5x5-v0"})}


@pytest.mark.parametrize(("package", "changes"), WORLDS.values(), ids=WORLDS)
def test_it_trains_stops_and_resumes(tmp_path: Path, package: str, changes: Changes) -> None:
    pytest.importorskip(package, reason="an extra")
    changes = TWO_EPOCHS | changes
    said = train_here(tmp_path, changes, stop=Stop("epoch 1: "))
    assert "interrupted in epoch " in said and not (tmp_path / "summary.json").exists()
    said = train_here(tmp_path, changes)
    assert "resumed " in said
    end, lines = summary(tmp_path), rows(tmp_path)
    assert (end["id"], end["num_games"]) == (changes["env.id"], 6)
    assert (end["progress"]["epoch"], end["progress"]["env_steps"]) == (2, 120)
    tests = [line for line in lines if "test/return_mean" in line]
    assert len(tests) == 2  # after epoch 2, and at the end
    for name in measures(changes["env.id"]):
        assert end[name] == tests[-1][f"test/{name}"]
