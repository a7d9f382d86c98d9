"""Several devices: equal draws give the single-device update, and what each device draws and sends is as it should be.

Updates go through `shard_map` and through `jax.pmap`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from edeline_jax.actor_critic.rollout import Trajectory
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.learning.optimizer import global_norm, make_optimizer
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import Learner
from edeline_jax.learning.updates import (
    actor_critic_gradients,
    apply_gradients,
    world_model_batch,
    world_model_gradients,
)
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.replay.buffer import REPLAY_SPEC, Replay, num_shares, replay_of, replay_spec
from edeline_jax.replay.chunk import Chunk
from edeline_jax.replay.segment import Segment, pad
from edeline_jax.runtime.devices import AXIS, lift, make_mesh, shardings
from edeline_jax.world_model.loss import LossDraws, draw_loss
from tests.golden_data import assert_close
from tests.random_params import random_params
from tests.tiny_config import get_config

CONFIG = pour(get_config())
AGENT = build_agent(CONFIG, 3)
D, B, T = 8, 16, CONFIG.segment_length
FRAME = (20, 20, 3)


@pytest.fixture(scope="module")
def params() -> dict:
    return random_params(AGENT, CONFIG)


def segments() -> Segment:
    """Unequal numbers of valid steps per device: a mean of per-device means would be wrong."""
    rng = np.random.default_rng(0)
    lengths = np.array([T, T, T, 2, 1, 7, T, 3, 5, T, T, 1, T, 4, T, 2])
    return pad(
        jnp.asarray(rng.integers(0, 256, (B, T, *FRAME)), jnp.uint8),
        jnp.asarray(rng.integers(0, 3, (B, T))),
        jnp.asarray(rng.integers(-1, 2, (B, T)), jnp.float32),
        jnp.asarray(rng.random((B, T)) < 0.3),
        jnp.arange(T)[None] < lengths[:, None],
    )


def trajectory() -> tuple[Trajectory, LSTMState]:
    rng, steps = np.random.default_rng(1), 5
    uniform = lambda *shape: jnp.asarray(rng.uniform(-1, 1, shape), jnp.float32)  # noqa: E731
    dead = jnp.asarray(rng.random((steps, B)) < 0.3)
    lstm = LSTMState(uniform(B, 8), uniform(B, 8))
    actions = jnp.asarray(rng.integers(0, 3, (steps, B)))
    return Trajectory(
        obs=uniform(steps, B, *FRAME),
        actions=actions,
        rewards=uniform(steps, B),
        ends=dead,
        truncations=jnp.zeros_like(dead),
        dead=dead,
        burn_in=uniform(steps, B, 3, *FRAME),
        logits=uniform(steps, B, 3),
        values=uniform(steps, B),
        bootstraps=uniform(steps, B),
    ), lstm


def world_model_step(learner: Learner, batch: Segment, draws: LossDraws, axis: str | None = AXIS) -> tuple:
    setup = make_setup(AGENT, CONFIG, axis)
    grads, metrics = setup.total(world_model_gradients(learner.params, batch, draws, setup))
    return apply_gradients(learner, grads, make_optimizer(CONFIG.world_model.optimizer)), global_norm(grads), metrics


def actor_critic_step(learner: Learner, stored: Trajectory, lstm: LSTMState, axis: str | None = AXIS) -> tuple:
    setup = make_setup(AGENT, CONFIG, axis)
    grads, metrics = setup.total(actor_critic_gradients(learner.params, stored, lstm, setup))
    return apply_gradients(learner, grads, make_optimizer(CONFIG.actor_critic.optimizer)), global_norm(grads), metrics


def learner_of(params: dict, config) -> Learner:
    opt_state = make_optimizer(config.optimizer).init(params)
    clip, adam, decay, schedule = opt_state
    warm = schedule._replace(count=jnp.asarray(50))  # at count 0 the learning rate is 0, and nothing would move
    return Learner(params, (clip, adam, decay, warm), jnp.zeros((), jnp.int32))


def split(x: jax.Array, axis: int) -> jax.Array:
    """[..., B, ...] -> [D, ..., B / D, ...], as pmap wants it."""
    return jnp.stack(jnp.split(x, D, axis))


def assert_same_update(start: Learner, single: tuple, many: tuple) -> None:
    moved = jax.tree.map(lambda a, b: a - b, single[0].params, start.params)
    assert max(float(jnp.abs(m).max()) for m in jax.tree.leaves(moved)) > 1e-5
    for name in single[2]:
        assert_close(many[2][name], single[2][name], 1e-5)
    assert_close(many[1], single[1], 1e-5)
    mean_gradients = single[0].opt_state[1].mu
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-4), many[0].opt_state[1].mu, mean_gradients)
    # Adam divides gradients by their size, so of those that are nearly zero it shows nothing but the rounding
    counts = jax.tree.map(lambda g: jnp.abs(g) > 1e-3 * jnp.abs(g).max(), mean_gradients)
    jax.tree.map(lambda a, b, c: assert_close(a * c, b * c, 1e-5), many[0].params, single[0].params, counts)


@pytest.mark.ci
def test_world_model_update(params: dict) -> None:
    start, batch = learner_of(params["world_model"], CONFIG.world_model), segments()
    draws = draw_loss(jax.random.key(2), jax.random.key(3), batch.frames.shape, CONFIG.context, CONFIG.world_model.loss)
    single = jax.jit(lambda *args: world_model_step(*args, axis=None))(start, batch, draws)

    draw_spec = LossDraws(P(), P(None, AXIS), P(None, AXIS), P(None, AXIS))
    mapped = lift(world_model_step, make_mesh(), (P(), P(AXIS), draw_spec), P(), donate=())
    assert_same_update(start, single, mapped(start, batch, draws))

    stacked = LossDraws(jnp.stack([draws.start] * D), *(split(x, 1) for x in draws[1:]))
    many = jax.pmap(world_model_step, AXIS, in_axes=(None, 0, 0))(
        start, jax.tree.map(lambda x: split(x, 0), batch), stacked
    )
    assert_same_update(start, single, jax.tree.map(lambda x: x[0], many))


def test_actor_critic_update(params: dict) -> None:
    start, (stored, lstm) = learner_of(params["actor_critic"], CONFIG.actor_critic), trajectory()
    single = jax.jit(lambda *args: actor_critic_step(*args, axis=None))(start, stored, lstm)

    mapped = lift(actor_critic_step, make_mesh(), (P(), P(None, AXIS), P(AXIS)), P(), donate=())
    assert_same_update(start, single, mapped(start, stored, lstm))

    shares = jax.tree.map(lambda x: split(x, 1), stored), jax.tree.map(lambda x: split(x, 0), lstm)
    many = jax.pmap(actor_critic_step, AXIS, in_axes=(None, 0, 0))(start, *shares)
    assert_same_update(start, single, jax.tree.map(lambda x: x[0], many))


def numbered_replay(streams: int = 2 * D) -> Replay:
    """Two streams for each device; all pixels of a step in stream i are 10 i + t, its reward is i.

    If the devices do not divide them, each has all.
    """
    mesh, steps = make_mesh(), 10
    numbers = (10 * np.arange(streams)[:, None] + np.arange(steps)).astype(np.uint8)
    over = np.zeros((streams, steps), bool)
    starts = np.arange(steps) == np.zeros((streams, 1), int)
    rewards = np.broadcast_to(np.arange(streams, dtype=np.float32)[:, None], (streams, steps))
    frames = np.broadcast_to(numbers[..., None, None, None], (streams, steps, *FRAME))
    chunk = Chunk(frames, numbers.astype(np.int32), rewards, over, over, starts, starts)
    replay = replay_of(chunk, num_devices=num_shares(streams, mesh))
    return jax.device_put(replay, shardings(mesh, replay_spec(streams, mesh), replay))


def per_device(key: jax.Array, replay: Replay) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    batch, draws = world_model_batch(key, replay, jnp.array(5), jnp.array(0), make_setup(AGENT, CONFIG, AXIS))
    return batch.rewards, batch.mask, draws.noise[0], draws.start[None]


@pytest.mark.parametrize("streams", [1, 3])
def test_devices_that_do_not_divide_the_streams_draw_from_all_of_them(streams: int) -> None:
    """The paper's single environment, on several devices: the batch is split all the same."""
    draw = lift(per_device, make_mesh(), (P(), P()), P(AXIS), donate=())
    replay, seen = numbered_replay(streams), [set() for _ in range(D)]
    for number in range(40):
        rewards, mask, noise, start = draw(jax.random.key(number), replay)
        for device, (own, valid) in enumerate(zip(rewards, mask, strict=True)):  # one segment for each device
            seen[device] |= set(own[valid].tolist())
        assert len({x.tobytes() for x in np.asarray(noise)}) == D and len(set(start.tolist())) == 1
    assert seen == [set(range(streams))] * D


def test_every_device_draws_for_itself_from_its_own_streams() -> None:
    config_batch = CONFIG.world_model.training.batch_size
    rewards, mask, noise, start = lift(per_device, make_mesh(), (P(), REPLAY_SPEC), P(AXIS), donate=())(
        jax.random.key(0), numbered_replay()
    )
    own_streams = [set(rewards[i][mask[i]].tolist()) for i in range(config_batch)]
    per_device_batch = config_batch // D
    for i, streams in enumerate(own_streams):
        device = i // per_device_batch
        assert streams <= {2 * device, 2 * device + 1}, (i, streams)
    assert len({x.tobytes() for x in np.asarray(noise)}) == config_batch
    assert len(set(start.tolist())) == 1  # of the whole batch
