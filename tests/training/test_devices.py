"""Equal draws and global batch give the single-device update, through `shard_map` and through `jax.pmap`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from edeline_jax.actor_critic.rollout import Trajectory
from edeline_jax.agent import build_agent, init_params
from edeline_jax.config import pour
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.replay.segment import Segment, pad
from edeline_jax.training.devices import AXIS, lift, make_mesh
from edeline_jax.training.optimizer import make_optimizer
from edeline_jax.training.state import Learner
from edeline_jax.training.updates import actor_critic_gradients, apply_gradients, total, world_model_gradients
from edeline_jax.world_model.loss import LossDraws, draw_loss
from tests.golden_data import assert_close
from tests.tiny_config import get_config

CONFIG = pour(get_config())
AGENT = build_agent(CONFIG, 3)
D, B, T = 4, 8, CONFIG.segment_length
FRAME = (20, 20, 3)


@pytest.fixture(scope="module")
def params() -> dict:
    """Every weight random, so that no gradient hides behind a zero."""
    params = init_params(AGENT, CONFIG, jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return tree.unflatten([x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)])


def segments() -> Segment:
    """Unequal numbers of valid steps per device: a mean of per-device means would be wrong."""
    rng = np.random.default_rng(0)
    lengths = np.array([T, T, T, 2, 1, 7, T, 3])
    return pad(
        jnp.asarray(rng.integers(0, 256, (B, T, *FRAME)), jnp.uint8),
        jnp.asarray(rng.integers(0, 3, (B, T))),
        jnp.asarray(rng.integers(-1, 2, (B, T)), jnp.float32),
        jnp.asarray(rng.random((B, T)) < 0.3),
        jnp.arange(T) < lengths[:, None],
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
        truncs=jnp.zeros_like(dead),
        dead=dead,
        burn_in=uniform(steps, B, 3, *FRAME),
        logits=uniform(steps, B, 3),
        values=uniform(steps, B),
        bootstraps=uniform(steps, B),
    ), lstm


def world_model_step(learner: Learner, batch: Segment, draws: LossDraws, axis_name: str | None = AXIS) -> tuple:
    loss = CONFIG.world_model.loss
    shares = world_model_gradients(learner.params, AGENT.world_model, batch, draws, loss, axis_name)
    grads, metrics = total(shares, axis_name)
    return (*apply_gradients(learner, grads, make_optimizer(CONFIG.world_model.optimizer)), metrics)


def actor_critic_step(learner: Learner, stored: Trajectory, lstm: LSTMState, axis_name: str | None = AXIS) -> tuple:
    loss = CONFIG.actor_critic.loss
    shares = actor_critic_gradients(learner.params, AGENT.actor_critic, stored, lstm, loss, axis_name)
    grads, metrics = total(shares, axis_name)
    return (*apply_gradients(learner, grads, make_optimizer(CONFIG.actor_critic.optimizer)), metrics)


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
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), many[0].params, single[0].params)
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-4), many[0].opt_state[1].mu, single[0].opt_state[1].mu)


def test_world_model_update(params: dict) -> None:
    start, batch = learner_of(params["world_model"], CONFIG.world_model), segments()
    draws = draw_loss(jax.random.key(2), jax.random.key(3), batch.frames.shape, CONFIG.context, CONFIG.world_model.loss)
    single = jax.jit(lambda *args: world_model_step(*args, axis_name=None))(start, batch, draws)

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
    single = jax.jit(lambda *args: actor_critic_step(*args, axis_name=None))(start, stored, lstm)

    mapped = lift(actor_critic_step, make_mesh(), (P(), P(None, AXIS), P(AXIS)), P(), donate=())
    assert_same_update(start, single, mapped(start, stored, lstm))

    shares = jax.tree.map(lambda x: split(x, 1), stored), jax.tree.map(lambda x: split(x, 0), lstm)
    many = jax.pmap(actor_critic_step, AXIS, in_axes=(None, 0, 0))(start, *shares)
    assert_same_update(start, single, jax.tree.map(lambda x: x[0], many))
