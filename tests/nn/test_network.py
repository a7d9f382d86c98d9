"""`agent.matmul_precision` reaches every float32 product of both networks, forward and in gradients."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr

from edeline_jax.actor_critic.rollout import Trajectory
from edeline_jax.agent.networks import agent_shapes, build_agent
from edeline_jax.config import pour
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.updates import actor_critic_gradients, world_model_gradients
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model.loss import draw_loss
from tests.tiny_config import get_config

PRODUCTS = "dot_general", "conv_general_dilated"
FRAME = (20, 20, 3)


def precisions(jaxpr: Jaxpr) -> Iterator[Any]:
    """Of all products of a program, also inside of loops, branches and custom gradients."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in PRODUCTS:
            yield equation.params["precision"]
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: isinstance(x, (Jaxpr, ClosedJaxpr))
        ):
            if isinstance(inner, (Jaxpr, ClosedJaxpr)):
                yield from precisions(getattr(inner, "jaxpr", inner))


def floats(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def programs(precision: str) -> dict[str, set]:
    """The precisions in the gradients of both losses, and in an imagined frame and an action."""
    values = get_config()
    values.agent.matmul_precision = precision
    config = pour(values)
    agent, setup = build_agent(config, 3), make_setup(build_agent(config, 3), config)
    params = agent_shapes(agent, FRAME)
    B, T, L = 2, config.segment_length, config.context
    segment = Segment(
        floats(B, T, *FRAME),
        floats(B, T, dtype=jnp.int32),
        floats(B, T),
        floats(B, T, dtype=bool),
        floats(B, T, dtype=bool),
    )
    key, model, network = jax.random.key(0), agent.world_model, agent.actor_critic
    draws = jax.eval_shape(lambda: draw_loss(key, key, segment.frames.shape, L, config.world_model.loss))
    lstm = jax.eval_shape(lambda: network.init_state(B))
    numbers, flags, steps = floats(4, B), floats(4, B, dtype=bool), floats(4, B, 3)
    trajectory = Trajectory(
        floats(4, B, *FRAME),
        floats(4, B, dtype=jnp.int32),
        numbers,
        flags,
        flags,
        flags,
        floats(4, B, L - 1, *FRAME),
        steps,
        numbers,
        numbers,
    )
    traced = {
        "world model": (lambda *x: world_model_gradients(*x, setup), params["world_model"], segment, draws),
        "actor-critic": (lambda *x: actor_critic_gradients(*x, setup), params["actor_critic"], trajectory, lstm),
        "frame": (
            lambda params, *x: model.apply(params, *x, method="denoise"),
            params["world_model"],
            floats(B, L, *FRAME),
            floats(B, *FRAME),
            floats(B),
            floats(B, 16),
        ),
        "action": (network.apply, params["actor_critic"], floats(B, *FRAME), lstm),
    }
    return {name: set(precisions(jax.make_jaxpr(f)(*x).jaxpr)) for name, (f, *x) in traced.items()}


HIGHEST = (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)


def test_every_product_has_the_highest_precision_if_that_is_wanted() -> None:
    for name, found in programs("highest").items():
        assert found <= {HIGHEST} and found, name


@pytest.mark.parametrize("of_jax", [None, "tensorfloat32"])
def test_the_default_is_that_of_jax(of_jax: str | None) -> None:
    with jax.default_matmul_precision(of_jax) if of_jax else contextlib.nullcontext():
        for name, found in programs("default").items():
            assert len(found - {HIGHEST}) == 1, (name, found)  # group norm and look-ups are always exact
            assert (found - {HIGHEST} == {None}) == (of_jax is None), (name, found)
