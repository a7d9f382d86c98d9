"""Every kind of memory: step by step it is what it is at once, and steps that are none leave no trace."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.config.schema import MambaConfig, RecurrentEmbConfig
from edeline_jax.nn.gru import GRUCell
from edeline_jax.nn.memory import Memory, init_caches
from edeline_jax.nn.params import Params, count_params, draw_params
from edeline_jax.nn.transformer import CausalAttention, TransformerLayer, init_cache

B, T, D, W, FRONT = 3, 7, 6, 4, (0, 2, 5)  # FRONT: of every row, how many steps come before its sequence
SCANS = ("associative", "sequential")
KINDS = {f"mamba-{scan}": ("mamba", scan) for scan in SCANS} | {
    kind: (kind, SCANS[0]) for kind in ("gru", "lstm", "transformer")
}


def config_of(kind: str) -> RecurrentEmbConfig:
    memory, scan = KINDS[kind]
    mamba = MambaConfig(d_model=D, n_layers=2, d_state=3, expand_factor=2, d_conv=4, scan=scan)
    return RecurrentEmbConfig((1,), (True,), 1, mamba, memory, W)


@functools.cache
def inputs() -> jax.Array:
    return jax.random.normal(jax.random.key(0), (B, T, D))


@functools.cache
def params_of(kind: str) -> Params:
    """Every one of them random: what starts at zero would hide."""
    config = config_of(kind)
    fresh = draw_params(Memory(config), [0], inputs(), init_caches(config, B))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: x + 0.3 * rng.standard_normal(x.shape, np.float32), fresh)


def apply(kind: str) -> Any:
    return jax.jit(functools.partial(Memory(config_of(kind)).apply, params_of(kind)))


def assert_close(one: Any, other: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-5), one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_what_they_are_at_once(kind: str) -> None:
    """In parts of one, three and one more than the window."""
    x, caches, parts = inputs(), init_caches(config_of(kind), B), []
    whole, end = apply(kind)(x, caches)
    for part in (slice(0, 1), slice(1, 4), slice(4, 5), slice(5, 7)):
        y, caches = apply(kind)(x[:, part], caches)
        parts.append(y)
    assert_close((jnp.concatenate(parts, 1), caches), (whole, end))


@pytest.mark.parametrize("kind", KINDS)
def test_no_cache_moves_before_a_sequence_begins(kind: str) -> None:
    """Whatever stands there: outputs and caches are those of the sequence alone."""
    config = config_of(kind)
    mask = jnp.arange(T)[None] >= jnp.array(FRONT)[:, None]
    y, caches = apply(kind)(inputs(), init_caches(config, B), mask)
    assert np.isfinite(y).all()
    for row, front in enumerate(FRONT):
        alone, end = apply(kind)(inputs()[row : row + 1, front:], init_caches(config, 1))
        assert_close((y[row, front:], jax.tree.map(lambda x, row=row: x[row], caches)), (alone[0], first_row(end)))


def test_attention_sees_no_step_before_the_first() -> None:
    """It passes on the first step's value undiluted."""
    attention, x, cache = CausalAttention(W), inputs()[:, :1], init_cache(W, D, B)
    params = draw_params(attention, [0], x, cache, None)
    layers = {name: layer["kernel"] for name, layer in params["params"].items() if name != "distance_bias"}
    value = x @ layers["qkv_proj"][:, 2 * D :]
    np.testing.assert_allclose(attention.apply(params, x, cache, None)[0], value @ layers["out_proj"], rtol=1e-4)


def first_row(caches: Any) -> Any:
    return jax.tree.map(lambda x: x[0], caches)


@pytest.mark.parametrize("kind", KINDS)
def test_the_past_counts_and_the_future_does_not(kind: str) -> None:
    x, caches = inputs(), init_caches(config_of(kind), B)
    reach = jax.jit(jax.grad(lambda x: apply(kind)(x, caches)[0][0, 4].sum()))(x)
    reach = np.abs(np.asarray(reach)).sum(-1)
    assert (reach[0, :5] > 0).all() and not reach[0, 5:].any() and not reach[1:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_zeros_pass_on_what_they_get(kind: str) -> None:
    zeros = jax.tree.map(np.zeros_like, params_of(kind))
    y, _ = Memory(config_of(kind)).apply(zeros, inputs(), init_caches(config_of(kind), B))
    np.testing.assert_allclose(y, inputs(), rtol=1e-6)


def test_a_transformer_sees_its_window_and_in_which_order() -> None:
    x, cache = inputs(), init_cache(W, D, B)
    layer = TransformerLayer(W, 2)
    fresh = draw_params(layer, [0], x, cache, None)
    ordered = jax.tree.map(lambda x: x, fresh)
    ordered["params"]["attention"]["distance_bias"] = jnp.arange(float(W))[None]

    def last(params: Params, x: jax.Array) -> np.ndarray:
        return np.asarray(layer.apply(params, x, cache, None)[0][:, -1])

    before, swapped = x.at[:, T - W - 1].set(0.0), x.at[:, T - W : T - W + 2].set(x[:, T - W : T - W + 2][:, ::-1])
    np.testing.assert_array_equal(last(ordered, x), last(ordered, before))
    assert np.abs(last(ordered, x) - last(ordered, swapped)).max() > 1e-3
    np.testing.assert_allclose(last(fresh, x), last(fresh, swapped), atol=1e-5)
    assert np.abs(last(fresh, x) - last(fresh, x.at[:, T - W].set(0.0))).max() > 1e-3


def test_a_gru_is_the_published_one() -> None:
    """Gates written out for one unit at a time."""
    x, hx = np.array([[0.5, -1.0]], np.float32), np.array([[0.3, -0.2, 0.9]], np.float32)
    cell = GRUCell(3)
    params = draw_params(cell, [1], x, hx)
    p = params["params"]

    def sigmoid(a: float) -> float:
        return 1 / (1 + np.exp(-a))

    expected = []
    for unit in range(3):
        r, z, n = (unit + 3 * gate for gate in range(3))
        into = [x[0] @ p["weight_ih"][:, i] + p["bias_ih"][i] for i in (r, z, n)]
        over = [hx[0] @ p["weight_hh"][:, i] + p["bias_hh"][i] for i in (r, z, n)]
        update = sigmoid(into[1] + over[1])
        candidate = np.tanh(into[2] + sigmoid(into[0] + over[0]) * over[2])
        expected.append((1 - update) * candidate + update * hx[0, unit])
    y, state = cell.apply(params, x, hx)
    np.testing.assert_allclose(y[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(y, state)


def test_kinds_of_one_size_have_about_as_many_parameters() -> None:
    """At the paper's width: between 0.9 and 1.25 of Mamba's."""
    counts = {}
    for kind in ("mamba-associative", "gru", "lstm", "transformer"):
        config = config_of(kind)
        mamba = dataclasses.replace(config.mamba, d_model=512, n_layers=1, d_state=16)
        config = dataclasses.replace(config, mamba=mamba, window=128)
        x = jax.ShapeDtypeStruct((1, 1, 512), jnp.float32)
        counts[kind] = count_params(draw_params(Memory(config), [0], x, init_caches(config, 1)))
    shares = {kind: count / counts["mamba-associative"] for kind, count in counts.items()}
    assert all(0.9 < share < 1.25 for share in shares.values()), shares
