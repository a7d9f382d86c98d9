"""Causality, independence of rows, and the mixed precision of the world model's networks."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.agent.networks import Agent, build_agent
from edeline_jax.world_model.edeline import Edeline
from tests.golden_data import config, params

B, T, SIZE = 2, 6, 32
MODEL = Edeline(config().agent, 5)


def inputs() -> tuple[jax.Array, jax.Array]:
    keys = jax.random.split(jax.random.key(0))
    return jax.random.uniform(keys[0], (B, T, SIZE, SIZE, 3), minval=-1), jax.random.randint(keys[1], (B, T), 0, 5)


@jax.jit
def embed(frames: jax.Array, actions: jax.Array) -> jax.Array:
    return MODEL.apply(params()["world_model"], frames, actions, MODEL.init_memory(B), method="embed")[0]


def test_h_sees_the_past_and_present_only() -> None:
    frames, actions = inputs()
    gradient = jax.jit(jax.grad(lambda frames: embed(frames, actions)[0, 3].sum()))(frames)
    reach = np.abs(np.asarray(gradient)).sum((2, 3, 4))
    assert (reach[0, :4] > 0).all() and not reach[0, 4:].any()
    assert not reach[1].any(), "rows of a batch touch each other"


def test_h_sees_actions_up_to_its_own() -> None:
    frames, actions = inputs()
    other = actions.at[0, 3].set((actions[0, 3] + 1) % 5)
    changed = np.abs(np.asarray(embed(frames, actions) - embed(frames, other))).sum(-1) > 1e-6
    assert not changed[0, :3].any() and changed[0, 3:].all() and not changed[1].any()


def test_denoised_rows_are_independent() -> None:
    frames, actions = inputs()
    h = embed(frames, actions)[:, 3]

    def first_row(noisy: jax.Array) -> jax.Array:
        return MODEL.apply(params()["world_model"], frames[:, :4], noisy, jnp.ones(B), h, method="denoise")[1][0].sum()

    reach = np.abs(np.asarray(jax.jit(jax.grad(first_row))(frames[:, 4]))).sum((1, 2, 3))
    assert reach[0] > 0 and reach[1] == 0


def run_world_model(agent: Agent, frames: jax.Array, actions: jax.Array) -> list[jax.Array]:
    """Every output: of the embedding, its caches, and of the denoiser."""
    model, weights = agent.world_model, params()["world_model"]
    h, caches = model.apply(weights, frames, actions, model.init_memory(B), method="embed")
    F, denoised = model.apply(weights, frames[:, :4], frames[:, 4], jnp.ones(B), h[:, 3], method="denoise")
    return [h, F, denoised, *jax.tree.leaves(caches)]


def run_actor_critic(agent: Agent, frames: jax.Array, actions: jax.Array) -> list[jax.Array]:
    network = agent.actor_critic
    logits, value, state = network.apply(params()["actor_critic"], frames[:, 0], network.init_state(B))
    return [logits, value, *state]


@pytest.mark.parametrize("network", ["world_model", "actor_critic"])
def test_bfloat16_stays_close_and_float32_where_it_must(network: str) -> None:
    run = {"world_model": run_world_model, "actor_critic": run_actor_critic}[network]
    low = dataclasses.replace(config(), agent=dataclasses.replace(config().agent, compute_dtype="bfloat16"))
    frames, actions = inputs()
    full, half = (
        jax.jit(functools.partial(run, build_agent(chosen, 5)))(frames, actions) for chosen in (config(), low)
    )
    assert len(full) == len(half) > 2
    for one, other in zip(full, half, strict=True):
        assert other.dtype == jnp.float32
        error = np.linalg.norm(np.asarray(one - other)) / np.linalg.norm(np.asarray(one))
        assert 1e-6 < error < 0.05
