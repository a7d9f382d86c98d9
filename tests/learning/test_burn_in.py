"""The steps before training segments: the memory sees them, nothing is learnt from them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.learning.lessons import teaching
from edeline_jax.learning.setup import Setup, make_setup
from edeline_jax.learning.updates import world_model_batch, world_model_gradients
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay, replay_of
from edeline_jax.replay.chunk import Chunk
from edeline_jax.replay.segment import Segment, pad
from edeline_jax.world_model.diamond_loss import Lessons
from edeline_jax.world_model.loss import burnt_in
from tests.random_params import random_params
from tests.tiny_config import get_config

KINDS = ("mamba", "gru", "lstm", "transformer", "diamond")
N, T, FRAME = 5, 6, (20, 20, 3)
FRONTS = (0, 2, N, N + 2)  # of every row, how many steps come before its episode
B = len(FRONTS)
KEY = jax.random.key(3)


@functools.cache
def setup_of(kind: str, burn_in: int = N) -> Setup:
    values = get_config()
    if kind == "diamond":
        values.agent.kind = kind
    else:
        values.agent.recurrent_emb.update(memory=kind, window=4)
    values.world_model.training.batch_size = B
    values.world_model.loss.update(horizon=T - 4, burn_in=burn_in)
    config = pour(values)
    assert config.segment_length == T
    return make_setup(build_agent(config, 3), config)


@functools.cache
def params_of(kind: str) -> Params:
    values = get_config()
    return random_params(setup_of(kind).agent, pour(values))["world_model"]


def steps(length: int = N + T) -> Segment:
    rng, shape = np.random.default_rng(0), (B, length)
    return pad(
        jnp.asarray(rng.integers(0, 256, (*shape, *FRAME)), jnp.uint8),
        jnp.asarray(rng.integers(0, 3, shape)),
        jnp.asarray(rng.integers(-1, 2, shape), jnp.float32),
        jnp.asarray(rng.random(shape) < 0.3),
        jnp.arange(length)[None] >= jnp.array(FRONTS)[:, None],
    )


def batch_of(kind: str, segments: Segment) -> Any:
    return Lessons(jax.tree.map(lambda x: x[:, -5:], steps()), segments) if kind == "diamond" else segments


def behind(x: Any) -> Any:
    return jax.tree.map(lambda x: x[:, N:], x)


def assert_close(one: Any, other: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-5), one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_the_memory_is_that_of_one_long_sequence(kind: str) -> None:
    """Which begins with the episode; padding in the segment itself is a step like any other."""
    setup, params = setup_of(kind), params_of(kind)
    model = setup.agent.world_model

    @jax.jit
    def outputs(segment: Segment, memory: Any) -> jax.Array:
        if kind == "diamond":
            pairs = segment.frames[:, :-1], segment.actions[:, :-1], segment.frames[:, 1:]
            return model.apply(params, *pairs, memory.lstm, method="outcomes")[0]
        return model.apply(params, segment.frames, segment.actions, memory, method="embed")[0]

    memory, segments = jax.jit(lambda batch: burnt_in(params, model, batch, setup.world_model.loss))(steps())
    jax.tree.map(np.testing.assert_array_equal, segments, behind(steps()))
    got, forgetful = outputs(segments, memory), outputs(segments, model.init_memory(B))
    for row, front in enumerate(FRONTS):
        whole = jax.tree.map(lambda x, row=row, front=front: x[row : row + 1, min(front, N) :], steps())
        assert_close(got[row], outputs(whole, model.init_memory(1))[0, -got.shape[1] :])
        assert (np.abs(got[row] - forgetful[row]).max() > 1e-3) == (front < N)


@pytest.mark.parametrize("kind", ["mamba", pytest.param("diamond", marks=pytest.mark.ci)])
def test_the_loss_is_that_of_segments_which_begin_with_a_constant(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients, metrics and random numbers: those of the same segments without burn-in, but for the memory."""
    setup, plain, params, batch = setup_of(kind), setup_of(kind, 0), params_of(kind), batch_of(kind, steps())
    draw = jax.jit(lambda setup, batch: teaching(setup).draw(KEY, KEY, batch, setup), static_argnums=0)
    draws, short = draw(setup, batch), batch_of(kind, behind(steps()))
    jax.tree.map(np.testing.assert_array_equal, draws, draw(plain, short))
    got = jax.jit(world_model_gradients, static_argnums=3)(params, batch, draws, setup)
    model = setup.agent.world_model
    memory, _ = jax.jit(lambda batch: burnt_in(params, model, batch, setup.world_model.loss))(steps())
    nothing = model.init_memory(B)

    @jax.jit
    def beginning_with(memory: Any) -> Any:
        monkeypatch.setattr(type(model), "init_memory", lambda self, batch: memory)
        return world_model_gradients(params, short, draws, plain)

    assert_close(got, beginning_with(memory))
    assert abs(got[1]["loss_rew"] - beginning_with(nothing)[1]["loss_rew"]) > 1e-4


@pytest.mark.parametrize("kind", ["mamba", "diamond"])
def test_segments_are_those_without_a_burn_in(kind: str) -> None:
    """And to their left is what came before; a step's reward is its number."""
    draw = jax.jit(lambda setup: world_model_batch(KEY, replay(), jnp.array(5), jnp.array(0), setup), static_argnums=0)
    many = [setup._replace(world_model=setup.world_model._replace(batch_size=64)) for setup in both(kind)]
    (batch, draws), (plain, plain_draws) = map(draw, many)
    jax.tree.map(np.testing.assert_array_equal, draws, plain_draws)
    if kind == "diamond":
        jax.tree.map(np.testing.assert_array_equal, batch.denoising, plain.denoising)
        batch, plain = batch.outcomes, plain.outcomes
    jax.tree.map(np.testing.assert_array_equal, behind(batch), plain)
    seen = batch.mask[:, : N + 1]
    assert seen[:, -1].any() and not seen[:, -1].all() and not seen[seen[:, -1]].all()
    for row in np.flatnonzero(seen[:, -1]):
        last, count = int(batch.rewards[row, N]), int(seen[row].sum())
        first = 0 if last < 9 else 9
        assert count == min(N + 1, last - first + 1) and seen[row, -count:].all()
        np.testing.assert_array_equal(batch.rewards[row, : N + 1][seen[row]], np.arange(last - count + 1, last + 1))
    assert not seen[~seen[:, -1]].any()


def both(kind: str) -> tuple[Setup, Setup]:
    return setup_of(kind), setup_of(kind, 0)


def replay() -> Replay:
    """One stream of two episodes, of 9 and 15 steps."""
    number = np.arange(24)[None]
    starts, never = np.isin(number, (0, 9)), np.zeros((1, 24), bool)
    frames = np.broadcast_to((10 * number)[..., None, None, None].astype(np.uint8), (1, 24, *FRAME))
    return replay_of(Chunk(frames, number % 3, number.astype(np.float32), never, never, starts, starts))
