import json

import jax
import numpy as np
import pytest

from configs.atari import get_config
from edeline_jax.agent.networks import agent_shapes, build_agent
from edeline_jax.agent.reference import DEAD, from_torch, to_torch
from edeline_jax.config import pour
from edeline_jax.nn.params import count_params
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
