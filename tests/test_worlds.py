"""Every family of environments through the real entry point: two epochs, with a stop between them."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from edeline_jax import load
from edeline_jax.envs import measures
from tests.in_process import Changes, Stop, train_here
from tests.runs import rows, summary

TWO_EPOCHS = {"collection.num_steps_total": 120, "training.num_final_epochs": 0}  # 40 steps come before the first
FEW_GAMES = {
    "env.num_envs": 2,
    "evaluation.num_envs": 2,
    "evaluation.num_episodes": 2,
    "evaluation.num_final_episodes": 2,
}
VALUES = {"reward.head": "twohot", "reward.clip": "none"}
SCREEN = {"env.id": "gymnasium/Screen-v0", "env.module": "tests.envs.screens"}
# MiniGrid's and Gymnasium's have three actions and frames of 20 x 20 pixels as Catch has, so they share its programs
WORLDS = {
    "minigrid": ("envpool", {"env.id": "MiniGrid-Dynamic-Obstacles-5x5-v0"}),
    "gymnasium": ("gymnasium", SCREEN),
    "values of rewards": ("gymnasium", SCREEN | VALUES),
    "crafter": ("crafter", {"env.id": "crafter"} | FEW_GAMES | VALUES),
    "craftax": ("craftax", {"env.id": "craftax"} | FEW_GAMES | VALUES),
    "recall": ("jax", {"env.id": "recall_16", "world_model_env.burn_in": 9, "world_model.loss.burn_in": 5}),
    "vizdoom": ("vizdoom", {"env.id": "vizdoom/predict_position"} | FEW_GAMES),
}


LONG = {
    "gymnasium": pytest.mark.ci,
    "minigrid": pytest.mark.ci,
    "recall": pytest.mark.ci,
    "values of rewards": pytest.mark.ci,
    "craftax": pytest.mark.slow,
}  # each is a run of its own, most with programs of its own


@pytest.mark.parametrize(
    ("package", "changes"), [pytest.param(*world, id=name, marks=LONG.get(name, ())) for name, world in WORLDS.items()]
)
def test_it_trains_stops_and_resumes(tmp_path: Path, package: str, changes: Changes) -> None:
    pytest.importorskip(package, reason="an extra")
    changes = TWO_EPOCHS | changes
    with jax.numpy_rank_promotion("allow" if package == "craftax" else "raise"):
        said = train_here(tmp_path, changes, stop=Stop("epoch 1: "))
        assert "interrupted in epoch " in said and not (tmp_path / "summary.json").exists()
        said = train_here(tmp_path, changes)
    assert "resumed " in said
    end, lines = summary(tmp_path), rows(tmp_path)
    assert (end["id"], end["num_games"]) == (changes["env.id"], changes.get("evaluation.num_final_episodes", 6))
    assert (end["progress"]["epoch"], end["progress"]["env_steps"]) == (2, 120)
    tests = [line for line in lines if "test/return_mean" in line]
    assert len(tests) == 2  # after epoch 2, and at the end
    for line in (line for line in lines if "collect/num_games" in line):
        assert {f"collect/{name}" for name in measures(changes["env.id"])} <= set(line)
    for name in measures(changes["env.id"]):
        assert end[name] == tests[-1][f"test/{name}"]
    for name in ("world_model/error_rew", "test_world_model/error_rew"):
        assert any(name in line for line in lines) == (changes.get("reward.head") == "twohot")
    agent = load(tmp_path, json.loads((tmp_path / "config.json").read_text()))
    frames = np.zeros((1, agent.config.context, *agent.config.frame_shape), np.uint8)
    _, rewards, _ = agent.imagine(frames, np.zeros((1, agent.config.context + 2), int))
    assert (rewards == np.sign(rewards)).all() == (agent.config.reward.head == "sign")
