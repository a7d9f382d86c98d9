"""A policy that sees h through a whole run: it resumes, is examined, and goes into files but for the authors'."""

from pathlib import Path

import jax
import numpy as np
import pytest

from edeline_jax.agent.initialization import with_weights_of
from edeline_jax.agent.networks import build_agent
from edeline_jax.agent.reference import to_torch
from edeline_jax.agent.trained import load
from edeline_jax.agent.weights import Weights, read_agent, write_weights
from edeline_jax.config import pour
from edeline_jax.evaluation.exam import evaluate
from edeline_jax.evaluation.rounds import Plan
from edeline_jax.runtime.errors import UserError
from tests.in_process import stopped_like_straight, train_here
from tests.random_params import random_params
from tests.runs import RECORDED, summary
from tests.tiny_config import get_config

INPUTS = {"agent.actor_critic.inputs": "frames_and_h"}


@pytest.mark.ci
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a static dataset; what the policy sees of the open rollout is a part of the state."""
    changes = RECORDED | INPUTS | {"collection.path_to_static_dataset": str(dataset)}
    expected = stopped_like_straight(tmp_path, changes, monkeypatch)
    assert any("rollout" in name and array.shape == (8, 16) and array.any() for name, array in expected.items())


@pytest.mark.ci
def test_a_run_plays_on_two_devices_and_its_agent_acts_from_a_file(tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "agent.safetensors"
    assert "\nfinal test, " in train_here(run, INPUTS, devices=2)
    end = summary(run)
    assert end["world_model_updates"] == end["actor_critic_updates"] == 9 and "return_mean" in end
    write_weights(file, read_agent(run))
    frames = np.random.default_rng(0).integers(0, 256, (5, 4, 20, 20, 3), np.uint8)
    actions = [[agent.act(row).tolist() for row in frames] for agent in (load(run), load(file))]
    assert actions[0] == actions[1]
    card = evaluate(file, None, Plan(4, 4, 0), "", "", lambda: None, lambda line: None)
    assert len(card["agent"]["returns"]) == 4


def test_the_authors_format_has_no_such_agent(tmp_path: Path) -> None:
    values = get_config()
    values.update_from_flattened_dict(INPUTS)
    config = pour(values)
    params = random_params(build_agent(config, 3), config)
    weights = Weights(to_torch(params, config), config)
    with pytest.raises(UserError, match=r"agent.pt: .* no policy that sees h .*; write FILE.safetensors, or a folder"):
        write_weights(tmp_path / "agent.pt", weights)
    assert not (tmp_path / "agent.pt").exists()
    write_weights(tmp_path / "agent.safetensors", weights)
    back = read_agent(tmp_path / "agent.safetensors")
    assert back.config == config
    name = "actor_critic.lstm.weight_ih"
    np.testing.assert_array_equal(back.tensors[name], weights.tensors[name])

    frames_only = pour(get_config())
    fresh = jax.tree.map(np.zeros_like, random_params(build_agent(frames_only, 3), frames_only))
    with pytest.raises(
        UserError, match=r"does not fit: actor_critic.lstm.weight_ih is \(32, 416\), expected \(32, 400\)"
    ):
        with_weights_of(tmp_path / "agent.safetensors", fresh, frames_only, ("actor_critic.",))
