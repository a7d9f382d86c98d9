"""The actor-critic's loss and its gradient beside their definition, on a network that is one line."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.actor_critic.loss import actor_critic_loss
from edeline_jax.actor_critic.rollout import Trajectory
from edeline_jax.config import pour
from edeline_jax.nn.lstm import LSTMState
from tests.tiny_config import get_config

CONFIG = pour(get_config()).actor_critic.loss
T, B, K = 5, 2, 2
LOGITS = np.array([1.0, -0.5, 0.25])
BEGIN, WEIGHTS = np.array([0.4, -0.7]), np.array([0.8, 1.3])
FEW, MANY = [(1, 0), (3, 1), (4, 1)], [(t, i) for t in range(4) for i in range(B)]  # restarts: (step, environment)


class ToyNetwork:
    """Its state is one number: half of the last one and what is seen, times the first weight; V has the second."""

    def init_state(self, batch: int) -> LSTMState:
        return LSTMState(jnp.zeros((batch, 1)), jnp.zeros((batch, 1)))

    def apply(self, params: jax.Array, *inputs: Any, method: str) -> Any:
        return getattr(self, method)(params, *inputs)

    def encode(self, params: jax.Array, frames: jax.Array) -> jax.Array:
        return frames.mean((1, 2))

    def recur(self, params: jax.Array, features: jax.Array, state: LSTMState) -> tuple:
        hx = params[0] * (0.5 * state.hx + features)
        return hx * LOGITS[None], params[1] * hx[:, 0], LSTMState(hx, state.cx)


def trajectory(restarts: list[tuple[int, int]], older: bool) -> Trajectory:
    rng = np.random.default_rng(0)
    uniform = lambda *shape: rng.uniform(-2, 2, shape)  # noqa: E731
    dead = np.zeros((T, B), bool)
    dead[tuple(zip(*restarts, strict=True))] = True
    ends = dead & (rng.random((T, B)) < 0.5)
    return Trajectory(
        obs=uniform(T, B, 1, 1, 1),
        actions=rng.integers(0, 3, (T, B)),
        rewards=uniform(T, B),
        ends=ends,
        truncations=dead & ~ends,
        dead=dead,
        burn_in=uniform(T, B, K, 1, 1, 1),
        logits=np.zeros((T, B, 3)),
        values=np.zeros((T, B)),
        bootstraps=uniform(T, B),
        burn_in_mask=rng.random((T, B, K)) < 0.6 if older else None,
        burn_in_state=LSTMState(uniform(T, B, 1), uniform(T, B, 1)) if older else None,
    )


def returns(x: Trajectory, i: int, clip: str) -> np.ndarray:
    following, found = x.bootstraps[-1, i], np.zeros(T)
    for t in reversed(range(T)):
        mixed = (1 - CONFIG.lambda_) * x.bootstraps[t, i] + CONFIG.lambda_ * following
        following = x.bootstraps[t, i] if x.truncations[t, i] else mixed
        reward = np.sign(x.rewards[t, i]) if clip == "sign" else x.rewards[t, i]
        following = found[t] = reward + (0 if x.ends[t, i] else CONFIG.gamma * following)
    return found


def definition(
    x: Trajectory, weights: np.ndarray, clip: str, baseline: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """The loss and V [T, B]; `baseline` is V in the actor's part, by default the same."""
    values, total = np.zeros((T, B)), 0.0
    for i in range(B):
        hx = BEGIN[i]
        for t in range(T):
            hx = weights[0] * (0.5 * hx + x.obs[t, i].item())
            values[t, i], R = weights[1] * hx, returns(x, i, clip)[t]
            log_pi = hx * LOGITS - np.log(np.exp(hx * LOGITS).sum())
            advantage = R - (values if baseline is None else baseline)[t, i]
            entropy = -(np.exp(log_pi) * log_pi).sum()
            total -= log_pi[x.actions[t, i]] * advantage + CONFIG.weight_entropy_loss * entropy
            total += CONFIG.weight_value_loss * (values[t, i] - R) ** 2
            if x.dead[t, i]:
                hx = 0.0 if x.burn_in_state is None else x.burn_in_state.hx[t, i].item()
                for k in range(K) if x.burn_in_mask is None else np.flatnonzero(x.burn_in_mask[t, i]):
                    hx = weights[0] * (0.5 * hx + x.burn_in[t, i, k].item())
    return total / (T * B), values


NETWORK = ToyNetwork()
LSTM = LSTMState(BEGIN[:, None], BEGIN[:, None])


@functools.partial(jax.jit, static_argnums=2)
@jax.value_and_grad
def program(params: jax.Array, x: Trajectory, clip: str) -> jax.Array:
    return actor_critic_loss(params, NETWORK, x, LSTM, CONFIG, clip)[0]


@pytest.mark.parametrize(
    ("restarts", "clip", "older"),
    [(FEW, "sign", False), (MANY, "sign", False), (FEW, "none", False), (FEW, "sign", True), (MANY, "sign", True)],
)
def test_the_loss_and_its_gradient_are_their_definition(
    restarts: list[tuple[int, int]], clip: str, older: bool
) -> None:
    """The actor learns from an advantage that is a mere number.

    Burn-ins after restarts have gradients; the state that older frames have left does not.
    """
    x = trajectory(restarts, older)
    loss, gradient = program(WEIGHTS, x, clip)
    expected, values = definition(x, WEIGHTS, clip)
    assert loss == pytest.approx(expected, rel=1e-5)
    steps = 1e-4 * np.eye(2)
    losses = [[definition(x, WEIGHTS + side * h, clip, values)[0] for side in (1, -1)] for h in steps]
    slopes = [(above - below) / 2e-4 for above, below in losses]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-5)
