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
    return jnp.sin(state[:, None] * jnp.arange(1.0, 1201)[None]).reshape(B, 20, 20, 3)


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
