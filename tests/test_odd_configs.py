"""What the door accepts can run: odd configs whose keys are valid one by one, and every program of a run on them.

Programs are traced, not compiled: shapes are what odd configs break. A config takes some five seconds.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs.atari import get_config
from edeline_jax.acting.replay_keeper import empty_replay, steps_per_env
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, pour
from edeline_jax.evaluation.film import film_of
from edeline_jax.evaluation.world_model import world_model_test
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import state_shapes
from edeline_jax.learning.updates import train_actor_critic, train_world_model
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.replay.sampling import Step
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.runtime.errors import ConfigError

NUM_ACTIONS = 4


def drawn(rng: np.random.Generator) -> ConfigDict:
    def one_of(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    def some(length: int, *values: Any) -> tuple:
        return tuple(one_of(*values) for _ in range(length))

    config = get_config("breakout")
    config.env.update(num_envs=one_of(1, 1, 2, 64), size=one_of(1, 2, 3, 7, 16, 21, 64, 84))
    config.collection.update(num_steps_total=10_000, steps_per_epoch=one_of(1, 100, 20_000))
    config.evaluation.update(num_envs=one_of(1, 3), num_steps_replay=one_of(1, 5, 50), num_batches=one_of(1, 2))
    agent = config.agent
    agent.compute_dtype = one_of("float32", "bfloat16")
    levels = one_of(1, 1, 1, 1, 2, 2, 3, 16)
    widths = (1, 4, 8, 32) if levels < 16 else (2, 4)
    agent.denoiser.inner_model.update(
        num_steps_conditioning=one_of(1, 2, 3, 5, 12),
        cond_channels=one_of(2, 6, 7, 32),
        depths=some(levels, 1, 1, 1, 2),
        channels=some(levels, *widths),
        attn_depths=some(levels, True, False),
    )
    for encoder, own in ((agent.recurrent_emb, {"cond_channels": one_of(1, 8)}), (agent.actor_critic, {"lstm_dim": 3})):
        depth = one_of(1, 2, 4)
        encoder.update(channels=some(depth, 1, 8, 40, 64), down=some(depth, True, False), **own)
    agent.recurrent_emb.mamba.update(
        d_model=one_of(1, 8, 24),
        n_layers=one_of(1, 2),
        d_state=one_of(1, 4),
        expand_factor=one_of(1, 2),
        d_conv=one_of(1, 2, 4, 12),
        scan=one_of("associative", "sequential"),
    )
    for group in (config.world_model, config.actor_critic):
        group.training.update(batch_size=one_of(1, 2, 5), grad_acc_steps=one_of(1, 3))
    config.world_model.loss.update(
        horizon=one_of(1, 2, 6), num_autoregressive_steps=one_of(0, 0, 1, 3), harmony=one_of(True, False)
    )
    config.actor_critic.loss.backup_every = one_of(1, 2, 15)
    config.world_model_env.horizon = one_of(1, 2, 15)
    config.world_model_env.diffusion_sampler.update(
        num_steps_denoising=one_of(1, 2, 5), order=one_of(1, 2), s_churn=one_of(0.0, 1.0)
    )
    return config


def trace(config: Config) -> None:
    """Every program of a run in the order of their first use."""
    agent = build_agent(config, NUM_ACTIONS)
    setup = make_setup(agent, config)
    state = state_shapes(setup)
    replay = jax.eval_shape(lambda: empty_replay(config, make_mesh(jax.devices()[:1]), steps_per_env(config)))
    key = jax.eval_shape(lambda: jax.random.key(0))
    obs = jax.ShapeDtypeStruct((config.env.num_envs, *config.frame_shape), jnp.float32)
    lstm = LSTMState(
        *[jax.ShapeDtypeStruct((config.env.num_envs, config.agent.actor_critic.lstm_dim), jnp.float32)] * 2
    )
    logits, value, _ = jax.eval_shape(agent.actor_critic.apply, state.actor_critic.params, obs, lstm)
    assert logits.shape == (config.env.num_envs, NUM_ACTIONS) and value.shape == (config.env.num_envs,)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    for program in (train_world_model, train_actor_critic):
        after, _ = jax.eval_shape(lambda *arrays, program=program: program(*arrays, setup), state, replay, count)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)
    place = Step(*[jax.ShapeDtypeStruct((1,), jnp.int32)] * 4)
    films = [state.world_model.params, replay, place, key]
    real, imagined = jax.eval_shape(lambda *arrays: film_of(*arrays, setup, config.context + 2), *films)
    assert real.shape == imagined.shape == (config.context + 2, *config.frame_shape)
    errors = jax.eval_shape(
        lambda *arrays: world_model_test(*arrays, setup, config.evaluation.num_batches), state.params, replay, key
    )
    assert errors["pixel_error"].shape == ()


@pytest.mark.parametrize(
    "trials", [2, pytest.param(60, marks=pytest.mark.slow), pytest.param(300, marks=pytest.mark.slow)]
)
def test_what_the_door_accepts_can_be_traced(trials: int) -> None:
    rng = np.random.default_rng(trials)
    accepted, refused = 0, 0
    while accepted < trials:
        values = drawn(rng)
        try:
            config = pour(values)
        except ConfigError as error:
            assert "\n" not in str(error) and str(error).startswith("config."), error
            refused += 1
            continue
        try:
            trace(config)
        except Exception as error:
            raise AssertionError(f"accepted, but cannot be traced:\n{values}") from error
        accepted += 1
        jax.clear_caches()
    assert refused > 0
