"""Actor-critics with weights that tests can reason about."""

import functools

import jax
import numpy as np

from edeline_jax.actor_critic.network import ActorCritic
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.params import param_shapes
from edeline_jax.replay.frame import to_float


def random_policy(network: ActorCritic) -> dict:
    """Every weight random; logits so far apart that the sampled action is the most likely one.

    What the LSTM remembers counts as much as what it sees.
    """
    shapes = param_shapes(network, network.empty_obs(1, (20, 20, 3)), network.init_state(1))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(0, 0.5, x.shape).astype(np.float32), shapes)["params"]
    lstm = dict(params["lstm"])
    lstm["weight_ih"], lstm["weight_hh"] = 0.2 * lstm["weight_ih"], 4 * lstm["weight_hh"]
    head = {"kernel": 1e5 * params["actor_linear"]["kernel"], "bias": np.zeros(network.num_actions, np.float32)}
    return {"params": params | {"lstm": lstm, "actor_linear": head}}


def undecided(params: dict) -> dict:
    """The same network, but its logits are all zero, as in the beginning."""
    head = jax.tree.map(np.zeros_like, params["params"]["actor_linear"])
    return {"params": params["params"] | {"actor_linear": head}}


def with_habit(params: dict, action: int, strength: float = 1e9) -> dict:
    """The same network, but its logit of one action is higher; by default it takes no other."""
    head = params["params"]["actor_linear"]
    bias = np.where(np.arange(len(head["bias"])) == action, strength, 0.0).astype(np.float32)
    return {"params": params["params"] | {"actor_linear": head | {"bias": bias}}}


@functools.cache
def _apply(network: ActorCritic):
    return jax.jit(lambda params, frames, state: network.apply(params, to_float(frames), state))


def unrolled(
    params: dict, network: ActorCritic, frames: np.ndarray, starts: np.ndarray, state: LSTMState | None = None
) -> tuple[np.ndarray, np.ndarray, list[LSTMState]]:
    """The network over uint8 frames [T, N, H, W, 3], its LSTM back at zeros in the steps that `starts` [T, N] names.

    Returns logits [T, N, A], values [T, N] and the LSTM state after each step.
    """
    state = state or network.init_state(frames.shape[1])
    logits, values, states = [], [], []
    for frame, start in zip(frames, starts, strict=True):
        state = jax.tree.map(lambda x, start=start: np.where(start[:, None], np.float32(0), x), state)
        *heads, state = _apply(network)(params, frame, state)
        for record, x in zip((logits, values), heads, strict=True):
            record.append(np.asarray(x))
        states.append(state)
    return np.stack(logits), np.stack(values), states


def greedy(params: dict, network: ActorCritic, frames: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The most likely actions, [T, N]; see `unrolled`."""
    return unrolled(params, network, frames, starts)[0].argmax(-1)
