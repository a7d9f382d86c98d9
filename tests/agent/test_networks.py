"""Weights cast once are the weights that layers would cast at every use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.agent.networks import Agent, build_agent, inference_weights
from edeline_jax.config import pour
from edeline_jax.nn.params import Params
from tests.random_params import random_params
from tests.tiny_config import get_config

Networks = tuple[Agent, Params]


def networks(dtype: str) -> Networks:
    values = get_config()
    values.agent.compute_dtype = dtype
    config = pour(values)
    agent = build_agent(config, 3)
    return agent, random_params(agent, config)


@pytest.fixture(scope="module")
def half() -> Networks:
    return networks("bfloat16")


def draw(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def test_the_world_model_computes_the_same(half: Networks) -> None:
    """Bit for bit; a layer that computes in float32 would see its rounded weights."""
    agent, params = half
    model, L = agent.world_model, agent.world_model.config.denoiser.inner_model.num_steps_conditioning

    def outputs(params: Params) -> list[jax.Array]:
        h, caches = model.apply(
            params, draw(2, 3, 20, 20, 3), jnp.ones((2, 3), int), model.init_memory(2), method="embed"
        )
        logits = model.apply(params, h, method="outcome_logits")
        frames = draw(2, L, 20, 20, 3), draw(2, 20, 20, 3)
        return jax.tree.leaves(
            (h, caches, logits, model.apply(params, *frames, jnp.ones(2), h[:, -1], method="denoise"))
        )

    assert_equal(outputs(params["world_model"]), outputs(inference_weights(model, params["world_model"])))


def test_the_policy_computes_the_same(half: Networks) -> None:
    agent, params = half
    network = agent.actor_critic

    def outputs(params: Params) -> list[jax.Array]:
        return jax.tree.leaves(network.apply(params, draw(2, 20, 20, 3), network.init_state(2)))

    assert_equal(outputs(params["actor_critic"]), outputs(inference_weights(network, params["actor_critic"])))


def test_most_weights_are_cast_and_float32_is_left_alone(half: Networks) -> None:
    agent, params = half
    cast = jax.tree.leaves(inference_weights(agent.world_model, params["world_model"]))
    assert sum(x.size for x in cast if x.dtype == jnp.bfloat16) > 0.9 * sum(x.size for x in cast)
    agent, params = networks("float32")
    assert inference_weights(agent.world_model, params["world_model"]) is params["world_model"]


def assert_equal(a: list[jax.Array], b: list[jax.Array]) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)
