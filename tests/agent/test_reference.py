import json

import jax
import numpy as np
import pytest

from configs.atari import get_config
from edeline_jax.agent.networks import agent_shapes, build_agent
from edeline_jax.agent.reference import DEAD, from_torch, to_torch
from edeline_jax.config import pour
from edeline_jax.nn.params import count_params
from tests import diamond_data
from tests.golden_data import FOLDER, config, load, params


def test_round_trip_is_exact_outside_the_dead_projections() -> None:
    tensors, back = load("agent"), to_torch(params(), config())
    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], np.zeros_like(tensor) if DEAD.match(name) else tensor)


def test_shapes_and_counts_of_the_paper() -> None:
    paper = pour(get_config("breakout"))
    agent = build_agent(paper, 4)
    shapes = agent_shapes(agent, paper.frame_shape)
    zeros = jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)
    expected = json.loads((FOLDER / "paper_shapes.json").read_text())
    assert {name: list(x.shape) for name, x in to_torch(zeros, paper).items()} == expected

    dead = sum(int(np.prod(shape)) for name, shape in expected.items() if DEAD.match(name))
    assert dead == 41_216
    assert count_params(shapes["world_model"]) == 10_974_661 - dead
    assert count_params(shapes["actor_critic"]) == 3_229_637


def test_diamonds_tensors_survive_a_round_trip() -> None:
    tensors, back = diamond_data.load("agent"), to_torch(diamond_data.params(), diamond_data.config())
    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], tensor, err_msg=name)


def test_shapes_and_counts_of_diamonds_paper() -> None:
    paper = pour(get_config("breakout,diamond"))
    shapes = agent_shapes(build_agent(paper, 4), paper.frame_shape)
    zeros = jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)
    expected = json.loads((diamond_data.HERE / "paper_shapes.json").read_text())
    assert {name: list(x.shape) for name, x in to_torch(zeros, paper).items()} == expected
    counts = [count_params(shapes["world_model"]["params"][part]) for part in ("denoiser", "rew_end_model")]
    assert counts == [4_405_955, 5_900_864]


def test_the_tensors_of_the_other_kind_are_named() -> None:
    with pytest.raises(ValueError, match=r"of an agent of kind diamond, config\.agent\.kind is edeline"):
        from_torch(diamond_data.load("agent"), config())
    with pytest.raises(ValueError, match=r"of an agent of kind edeline, config\.agent\.kind is diamond"):
        from_torch(load("agent"), diamond_data.config())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("actor_critic.lstm.weight_hh"), "missing tensors: actor_critic.lstm.weight_hh"),
        (lambda t: t.pop("world_model.recurrent_emb.act_emb.weight"), "missing tensors: .*act_emb"),
        (lambda t: t.update(extra=np.zeros(3)), "unknown tensors: extra"),
        (
            lambda t: t.update({"actor_critic.lstm.bias_hh": np.zeros(3)}),
            r"misshapen tensors: actor_critic.lstm.bias_hh is \(3,\), expected \(128,\)",
        ),
    ],
)
def test_a_wrong_tensor_is_named(change, message: str) -> None:
    tensors = dict(load("agent"))
    change(tensors)
    with pytest.raises(ValueError, match=message):
        from_torch(tensors, config())
