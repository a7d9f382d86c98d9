import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.nn import selective_scan as module
from edeline_jax.nn.selective_scan import CHUNK, SCANS, causal_convolution, selective_scan

LENGTHS = (13, 2 * CHUNK + 9)  # at once, and in three chunks of which the last is not full


def inputs(B: int = 2, T: int = 13, E: int = 6, N: int = 4) -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(0), 7)
    normal = jax.random.normal
    return {
        "x": normal(keys[0], (B, T, E)),
        "delta": jax.nn.softplus(normal(keys[1], (B, T, E))),
        "A": -jnp.exp(normal(keys[2], (E, N))),
        "B": normal(keys[3], (B, T, N)),
        "C": normal(keys[4], (B, T, N)),
        "D": normal(keys[5], (E,)),
        "s": normal(keys[6], (B, E, N)),
    }


def by_definition(x, delta, A, B, C, D, s):
    """The recurrence of the docstring, in float64 loops."""
    x, delta, A, B, C, D, s = (np.asarray(v, np.float64) for v in (x, delta, A, B, C, D, s))
    y = np.zeros_like(x)
    for t in range(x.shape[1]):
        s = np.exp(delta[:, t, :, None] * A) * s + (delta[:, t] * x[:, t])[..., None] * B[:, t, None, :]
        y[:, t] = (s * C[:, t, None, :]).sum(-1) + D * x[:, t]
    return y, s


@pytest.mark.parametrize("T", LENGTHS)
@pytest.mark.parametrize("scan", SCANS)
def test_follows_the_definition_from_any_state(scan: str, T: int) -> None:
    y, s = selective_scan(**inputs(T=T), scan=scan)
    expected_y, expected_s = by_definition(**inputs(T=T))
    np.testing.assert_allclose(y, expected_y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(s, expected_s, rtol=1e-4, atol=1e-5)


def loss(arguments: dict, scan: str) -> jax.Array:
    y, s = selective_scan(**arguments, scan=scan)
    return jnp.sin(y).sum() + jnp.cos(s).sum()


@pytest.mark.parametrize("T", LENGTHS)
def test_implementations_have_equal_gradients(T: int) -> None:
    grads = [jax.grad(loss)(inputs(T=T), scan) for scan in ("associative", "sequential")]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), *grads)


@pytest.mark.parametrize("scan", SCANS)
def test_chunks_have_the_gradients_of_the_whole_and_keep_no_states(scan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once a sequence plans several times as much memory; one of twice the length little more, in chunks."""

    def gradients(T: int, chunk: int) -> tuple[dict, int]:
        monkeypatch.setattr(module, "CHUNK", chunk)
        compiled = jax.jit(lambda arguments: jax.grad(loss)(arguments, scan)).lower(inputs(T=T, N=64)).compile()
        return compiled(inputs(T=T, N=64)), compiled.memory_analysis().temp_size_in_bytes

    (whole, all_states), (parts, few), (_, many) = (
        gradients(8 * CHUNK, 10**6),
        gradients(8 * CHUNK, CHUNK),
        gradients(16 * CHUNK, CHUNK),
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), parts, whole)
    assert few < all_states / 3 and many < 1.5 * few, (few, many, all_states)


@pytest.mark.parametrize("split", [1, 5, 12])
def test_a_cut_sequence_goes_on_from_its_state(split: int) -> None:
    whole, last = selective_scan(**inputs(), scan="associative")
    parts, state = [], inputs()["s"]
    for part in (slice(0, split), slice(split, None)):
        cut = {k: v[:, part] if k in ("x", "delta", "B", "C") else v for k, v in inputs().items()}
        y, state = selective_scan(**(cut | {"s": state}), scan="associative")
        parts.append(y)
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(state, last, rtol=1e-5, atol=1e-5)


def test_convolution_matches_numpy_and_goes_on_from_its_history() -> None:
    keys = jax.random.split(jax.random.key(1), 4)
    x, kernel = jax.random.normal(keys[0], (2, 9, 3)), jax.random.normal(keys[1], (4, 3))
    bias, history = jax.random.normal(keys[2], (3,)), jax.random.normal(keys[3], (2, 3, 3))
    y, last = causal_convolution(x, history, kernel, bias)
    padded = np.concatenate([history, x], 1)
    for b in range(2):
        for e in range(3):
            expected = np.convolve(padded[b, :, e], np.asarray(kernel)[::-1, e], "valid") + bias[e]
            np.testing.assert_allclose(y[b, :, e], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(last, padded[:, -3:])
