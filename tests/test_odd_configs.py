"""What the door accepts can run: odd configs whose keys are valid one by one, and every program of a run on them.

Programs are traced, not compiled: shapes are what odd configs break. Forward passes alone take about a second.
`.ci/run` traces 300 of them.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs.atari import get_config
from edeline_jax.acting.replay_keeper import empty_replay, steps_per_env
from edeline_jax.actor_critic.loss import actor_critic_loss
from edeline_jax.actor_critic.rollout import Trajectory
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, pour
from edeline_jax.evaluation.open_loop import NUM_STARTS, STEPS, begin, go_on
from edeline_jax.evaluation.world_model import world_model_test
from edeline_jax.learning import updates
from edeline_jax.learning.lessons import teaching
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import TrainState, state_shapes
from edeline_jax.learning.updates import train_actor_critic, train_world_model, world_model_batch
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.sampling import Step
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.runtime.errors import ConfigError
from edeline_jax.world_model.loss import LossDraws

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
    agent.update(kind=one_of("edeline", "edeline", "diamond"), compute_dtype=one_of("float32", "bfloat16"))
    config.training.model_free = one_of(False, False, True)
    config.reward.update(head=one_of("sign", "twohot"), clip=one_of("sign", "none"))
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
    if agent.kind == "edeline" and not config.training.model_free:
        agent.actor_critic.inputs = one_of("frames", "frames_and_h")
    depth = one_of(1, 2, 4)
    agent.rew_end_model.update(
        channels=some(depth, 1, 8, 40, 64),
        depths=some(depth, 1, 2),
        attn_depths=some(depth, True, False),
        cond_channels=one_of(1, 8),
        lstm_dim=one_of(1, 3),
    )
    agent.recurrent_emb.update(memory=one_of("mamba", "mamba", "gru", "lstm", "transformer"), window=one_of(1, 3, 40))
    agent.denoiser.inner_model.update(frame_stack=one_of(True, True, False), cross_attention=one_of(True, False))
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
        horizon=one_of(1, 2, 6),
        num_autoregressive_steps=one_of(0, 0, 1, 2),
        harmony=one_of(True, False),
        burn_in=one_of(0, 0, 1, 20),
    )
    config.actor_critic.loss.backup_every = one_of(1, 2, 15)
    config.world_model_env.update(horizon=one_of(1, 2, 15), burn_in=one_of(0, 0, 11, 20))
    config.world_model_env.diffusion_sampler.update(
        num_steps_denoising=one_of(1, 1, 2), order=one_of(1, 2), s_churn=one_of(0.0, 1.0)
    )
    return config


def trace(config: Config) -> None:
    """The forward half of a run's programs, each piece once."""
    agent = build_agent(config, NUM_ACTIONS)
    setup = make_setup(agent, config)
    state = state_shapes(setup)
    replay = replay_shapes(config)
    key, number = jax.eval_shape(lambda: (jax.random.key(0), jnp.int32(0)))
    world_model = state.world_model.params
    batch, draws = jax.eval_shape(lambda *arrays: world_model_batch(*arrays, setup), key, replay, number, number)

    def loss(params: Params, batch: Any, draws: LossDraws) -> jax.Array:
        rules = teaching(setup)
        return rules.loss(params, batch, draws, rules.count(batch, draws, setup), setup)[0]

    assert jax.eval_shape(loss, world_model, batch, draws).shape == ()

    def rollout(state: TrainState, replay: Replay, key: jax.Array, number: jax.Array) -> tuple:
        starts, older = updates._starts(replay, key, number, number, setup)
        world_model = state.world_model.params
        begin = updates._begin(state.rollout, number == 0, world_model, starts, older, setup)
        restarts = jax.tree.map(lambda x: x[1:], starts)
        return begin, updates.imagine(state.actor_critic.params, world_model, restarts, begin, key, setup, older)

    begin, (end, trajectory) = jax.eval_shape(rollout, state, replay, key, number)
    assert jax.tree.map(jnp.shape, end) == jax.tree.map(jnp.shape, state.rollout)

    def policy_loss(params: Params, trajectory: Trajectory, lstm: LSTMState) -> jax.Array:
        loss, clip = config.actor_critic.loss, config.reward.clip
        return actor_critic_loss(params, agent.actor_critic, trajectory, lstm, loss, clip)[0]

    assert jax.eval_shape(policy_loss, state.actor_critic.params, trajectory, begin.lstm).shape == ()


def trace_whole(config: Config) -> None:
    """Every program of a run as it is compiled, gradients included."""
    setup = make_setup(build_agent(config, NUM_ACTIONS), config)
    state = state_shapes(setup)
    replay = replay_shapes(config)
    key, count = jax.eval_shape(lambda: (jax.random.key(0), jnp.int32(0)))
    for program in (train_world_model, train_actor_critic):
        after, _ = jax.eval_shape(lambda *arrays, program=program: program(*arrays, setup), state, replay, count)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)
    places = Step(*[jax.ShapeDtypeStruct((NUM_STARTS,), jnp.int32)] * 5)
    params = state.world_model.params
    dream, _ = jax.eval_shape(lambda *arrays: begin(*arrays, setup), params, replay, places)
    dream_arrays = (params, replay, places, dream, count, key)
    after, steps = jax.eval_shape(lambda *arrays: go_on(*arrays, setup), *dream_arrays)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), dream)
    assert steps.real.shape == steps.imagined.shape == (NUM_STARTS, STEPS, *config.frame_shape)
    errors = jax.eval_shape(
        lambda *arrays: world_model_test(*arrays, setup, config.evaluation.num_batches), state.params, replay, key
    )
    assert errors["pixel_error"].shape == ()


def replay_shapes(config: Config) -> Replay:
    return jax.eval_shape(lambda: empty_replay(config, make_mesh(jax.devices()[:1]), steps_per_env(config)))


def longer(mark: pytest.MarkDecorator, trace: Callable[[Config], None], trials: int, seed: int) -> Any:
    return pytest.param(trace, trials, seed, marks=mark, id=f"{trace.__name__}-{trials}-{seed}")


@pytest.mark.parametrize(
    ("trace", "trials", "seed"),
    [
        (trace_whole, 1, 4),
        *[longer(pytest.mark.ci, trace, 75, seed) for seed in range(10, 14)],  # 300
        *[longer(pytest.mark.slow, trace, 300, seed) for seed in range(20, 30)],  # 3,000
        longer(pytest.mark.slow, trace_whole, 60, 3),
    ],
)
def test_what_the_door_accepts_can_be_traced(trace: Callable[[Config], None], trials: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
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
