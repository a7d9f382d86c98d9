from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.actor_critic.rollout import EnvStep, PolicyDraws, RolloutState, host_scan, rollout
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.envs.outcome import Outcome
from tests.random_params import random_params
from tests.tiny_config import get_config

CONFIG = pour(get_config())
NETWORK = build_agent(CONFIG, 3).actor_critic
B, T, K = 4, 7, 2
PARAMS = random_params(build_agent(CONFIG, 3), CONFIG)["actor_critic"]


def frame(state: jax.Array) -> jax.Array:
    """A frame that depends on an environment's number."""
    return jnp.sin(state[:, None] * jnp.arange(1.0, 1201)[None]).reshape(-1, 20, 20, 3)


def env_step(state: jax.Array, action: jax.Array, draws: jax.Array) -> tuple[jax.Array, Outcome]:
    """Numbers count up by the action; an environment restarts at 100 where the draw says so."""
    moved = state + action + 1
    obs = jnp.where(draws > 0.6, 100.0, moved)
    burn_in = jnp.stack([frame(obs + 10), frame(obs + 20)], 1)
    return obs, Outcome(frame(obs), frame(moved), moved, draws > 0.8, (draws > 0.6) & (draws <= 0.8), burn_in)


def begin(lstm=None) -> RolloutState:
    return RolloutState(frame(jnp.arange(4.0)), lstm or NETWORK.init_state(B), jnp.arange(4.0))


def draws() -> PolicyDraws:
    keys = jax.random.split(jax.random.key(1))
    return PolicyDraws(jax.random.gumbel(keys[0], (T, B, 3)), jax.random.uniform(keys[1], (T, B)))


def run(step: EnvStep, **kwargs):
    return rollout(PARAMS, NETWORK, step, begin(), draws(), **kwargs)


def test_the_host_loop_equals_the_scan() -> None:
    scanned, looped = run(env_step), run(env_step, scan=host_scan)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), scanned, looped)


def test_bootstraps_and_restarts_step_by_step() -> None:
    """The rollout against its definition, one environment and one frame at a time."""
    end, trajectory = run(env_step)
    assert 3 <= trajectory.dead.sum() <= T * B - 3
    apply = jax.jit(lambda obs, lstm: NETWORK.apply(PARAMS, obs, lstm))
    lstm, state = NETWORK.init_state(B), jnp.arange(4.0)
    for t in range(T):
        _, value, lstm = apply(frame(state), lstm)
        np.testing.assert_allclose(trajectory.values[t], value, rtol=1e-4, atol=1e-5)
        moved = state + trajectory.actions[t] + 1
        dead = np.asarray(draws().env[t] > 0.6)
        final_value = apply(frame(moved), lstm)[1]
        state = jnp.where(dead, 100.0, moved)
        fresh = NETWORK.init_state(B)
        for k in range(K):
            fresh = apply(frame(state + 10 * (k + 1)), fresh)[2]
        lstm = jax.tree.map(lambda new, old, dead=dead: jnp.where(dead[:, None], new, old), fresh, lstm)
        next_value = apply(frame(state), lstm)[1]
        expected = np.where(dead, final_value, next_value)
        np.testing.assert_allclose(trajectory.bootstraps[t], expected, rtol=1e-4, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), end.lstm, lstm)


class Past(NamedTuple):
    frames: jax.Array
    mask: jax.Array


def past(numbers: jax.Array) -> Past:
    """Three older steps of starts, of which the first `numbers` % 4 are none."""
    frames = jnp.stack([frame(numbers + 30 + k) for k in range(3)], 1)
    return Past(frames, jnp.arange(3)[None] >= numbers[:, None] % 4)


def env_step_with_a_past(state: tuple, action: jax.Array, draws: jax.Array) -> tuple[tuple, Outcome]:
    """The same, but every new start has a number of its own, and so a past of another length."""
    state, number = state
    obs, outcome = env_step(state, action, draws)
    number = number + 1 + jnp.arange(4.0)
    mask = jnp.arange(K)[None] >= number[:, None] % 3
    older = jax.tree_util.Partial(lambda number, rows: past(number[rows]), number)
    return (obs, number), outcome._replace(burn_in_mask=mask, older=older)


def test_a_past_moves_the_lstm_where_it_is_one() -> None:
    begun = RolloutState(frame(jnp.arange(4.0)), NETWORK.init_state(B), (jnp.arange(4.0), jnp.zeros(4)))
    end, trajectory = rollout(PARAMS, NETWORK, env_step_with_a_past, begun, draws())
    apply = jax.jit(lambda obs, lstm: NETWORK.apply(PARAMS, obs, lstm)[2])
    lstm, number, some = NETWORK.init_state(B), np.zeros(4), 0
    for t in range(T):
        lstm = apply(trajectory.obs[t], lstm)
        number = number + 1 + np.arange(4)
        fresh = NETWORK.init_state(B)

        def move(frames: jax.Array, mask: np.ndarray, lstm=None):
            moved = apply(frames, lstm)
            return jax.tree.map(lambda new, old: jnp.where(mask[:, None], new, old), moved, lstm)

        for k in range(3):
            fresh = move(frame(number + 30 + k), k >= number % 4, fresh)
        dead = np.asarray(trajectory.dead[t])
        recorded, expected = jax.tree.map(
            lambda x, d=dead: x[d], (jax.tree.map(lambda x, t=t: x[t], trajectory.burn_in_state), fresh)
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), recorded, expected)
        some += (np.abs(fresh.hx) > 0).any() and dead.any()
        for k in range(K):
            fresh = move(trajectory.burn_in[t, :, k], k >= number % 3, fresh)
        lstm = jax.tree.map(lambda new, old, dead=dead: jnp.where(dead[:, None], new, old), fresh, lstm)
    assert some > 2
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), end.lstm, lstm)
