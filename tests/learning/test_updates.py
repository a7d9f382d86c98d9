"""The update programs around the networks: keys, optimizers, accumulation, repetition.

The networks are toys whose gradients are one line each, so every number can be followed by hand; the real ones go
through the same programs in test_golden_updates.py.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.acting.replay_keeper import empty_replay
from edeline_jax.actor_critic.rollout import RolloutState
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.learning import lessons, updates
from edeline_jax.learning.optimizer import make_optimizer
from edeline_jax.learning.setup import Setup, make_setup
from edeline_jax.learning.state import Learner, TrainState
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.sampling import read, start_places
from edeline_jax.replay.segment import Segment, Steps, joined, segments
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.world_model import imagination
from edeline_jax.world_model.loss import LossDraws
from tests.adamw import adamw
from tests.learning.states import assert_same
from tests.tiny_config import get_config

PARTS = 2
KEY = jax.random.key(7)


def _config():
    """Two optimizers that have no number in common, each of which matters for the toys' gradients."""
    values = get_config()
    values.world_model.optimizer.update(lr=0.1, weight_decay=0.3, eps=0.1, lr_warmup_steps=2, max_grad_norm=1.0)
    values.actor_critic.optimizer.update(lr=0.2, weight_decay=0.1, eps=0.03, lr_warmup_steps=4, max_grad_norm=3.0)
    for group in (values.world_model, values.actor_critic):
        group.training.grad_acc_steps = PARTS
    return pour(values)


CONFIG = _config()
SETUP = make_setup(build_agent(CONFIG, 3), CONFIG)


def replay() -> Replay:
    """Two streams of one episode of 30 steps; every frame has its own brightness."""
    numbers = np.arange(60, dtype=np.uint8).reshape(2, 30)
    return Replay(
        frames=jnp.asarray(np.repeat(4 * numbers[..., None], 20 * 20 * 3, -1)),
        actions=jnp.asarray(numbers % 3, jnp.int32),
        rewards=jnp.zeros((2, 30)),
        ends=jnp.zeros((2, 30), bool),
        episodes=jnp.array([[[0, 0, 30, 0], [1, 0, 30, 0], [0, 0, 0, 0]]]),
        num_episodes=jnp.array([2]),
    )


def state() -> TrainState:
    def learner(kernel: list[float], bias: list[float], optimizer) -> Learner:
        params = {"kernel": jnp.array(kernel), "bias": jnp.array(bias)}  # by its name, the kernel decays
        return Learner(params, make_optimizer(optimizer).init(params), jnp.zeros((), jnp.int32))

    two = jnp.array([5.0, -5.0])  # stands for an empty rollout: shall never be used
    return TrainState(
        learner([1.0, -2.0, 3.0], [0.5, 0.25], CONFIG.world_model.optimizer),
        learner([-1.0, 0.5, 2.0], [4.0, -0.5], CONFIG.actor_critic.optimizer),
        RolloutState(two, LSTMState(two, two), jnp.zeros(3)),
        KEY,
    )


def toy_world_model(params: dict, batch: Segment, draws: LossDraws, setup: Setup | None) -> tuple[dict, dict]:
    x = jnp.stack([batch.frames.mean(), draws.sigma.mean(), 10 * draws.noise.mean()])
    return {"kernel": params["kernel"] + x, "bias": params["bias"] * x[1] + draws.start}, {"x": x}


def toy_begin(params: dict, start: Segment, setup: Setup | None) -> RolloutState:
    x = jnp.stack([start.frames.mean(), start.actions.mean()])
    return RolloutState(x, LSTMState(x + 1, x + 2), params["kernel"])


def toy_imagine(params, world_model_params, restarts: Steps, begin: RolloutState, key, setup, older=None) -> tuple:
    """Every step's start counts, each in its own way."""
    T = CONFIG.actor_critic.loss.backup_every
    seen = (restarts.actions.mean((1, 2)) * jnp.arange(1.0, T + 1)).sum() + restarts.frames.mean()
    noise = jax.random.normal(key, (2,)) + 0.01 * seen
    lstm = LSTMState(begin.lstm.hx + 1, 0.5 * begin.lstm.cx + noise)
    end = RolloutState(begin.obs + noise, lstm, begin.env + world_model_params["kernel"])
    return end, (begin.obs, params["bias"] * noise, begin.env)


def toy_actor_critic(params: dict, trajectory: tuple, lstm: LSTMState, setup: Setup | None) -> tuple[dict, dict]:
    obs, noise, env = trajectory
    metrics = {"noise": noise, "lstm": lstm.cx}
    return {"kernel": params["kernel"] * obs.sum() + env, "bias": params["bias"] + noise + lstm.hx}, metrics


@pytest.fixture(scope="module")
def programs() -> dict[str, Callable]:
    """The two update programs, (state, int32) -> (state, metrics), with the toys in place of the networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(updates, "world_model_gradients", toy_world_model)
        patch.setattr(updates, "actor_critic_gradients", toy_actor_critic)
        patch.setattr(updates, "begin_imagining", toy_begin)
        patch.setattr(updates, "imagine", toy_imagine)

        def compiled(train: Callable) -> Callable:
            jitted = jax.jit(lambda state, num_updates: train(state, replay(), num_updates, SETUP))
            return jitted.lower(state(), np.int32(1)).compile()

        return {
            "world_model": compiled(updates.train_world_model),
            "actor_critic": compiled(updates.train_actor_critic),
        }


def starts_at(key: jax.Array) -> Steps:
    c = CONFIG.actor_critic.training
    return read(replay(), start_places(replay(), key, c.batch_size, CONFIG.context, CONFIG.context, c.sample_weights))


def averaged(parts: list) -> tuple[dict, dict]:
    return jax.tree.map(lambda *x: np.mean(x, 0), *parts)


def assert_learner(actual: Learner, params: dict, num_updates: int) -> None:
    assert actual.updates == num_updates
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), actual.params, params)


def assert_metrics(metrics: dict, expected: list[dict], norms: list[float]) -> None:
    assert metrics["num_updates"] == len(expected)
    np.testing.assert_allclose(metrics["grad_norm"], np.mean(norms), rtol=1e-4)
    for name in expected[0]:
        np.testing.assert_allclose(metrics[name], np.mean([m[name] for m in expected], 0), rtol=1e-4, atol=1e-5)


def test_world_model_updates_by_hand(programs: dict) -> None:
    """Gradients are means over the parts, which learn from draws of their own; the optimizer is the world model's."""
    draw = jax.jit(lambda update, part: updates.world_model_batch(KEY, replay(), update, part, SETUP))
    metrics = []

    def gradients(params: dict, n: int) -> dict:
        parts = [toy_world_model(params, *draw(n, part), None) for part in range(PARTS)]
        grads, means = averaged(parts)
        metrics.append(means)
        return grads

    before = state()
    after, actual = programs["world_model"](before, np.int32(3))
    params, norms = adamw(before.world_model.params, gradients, 3, CONFIG.world_model.optimizer)
    assert_learner(after.world_model, params, 3)
    assert_metrics(actual, metrics, norms)
    assert_same(after._replace(world_model=before.world_model), before)


def test_actor_critic_updates_by_hand(programs: dict) -> None:
    """One rollout goes on from part to part and from update to update; only the very first part begins it."""
    before, metrics = state(), []
    frame, first_key = SETUP.frame_shape, jax.random.fold_in(updates._keys(KEY, 1, 0, 0, SETUP)[1], 0)
    rollout = toy_begin(before.world_model.params, segments(starts_at(first_key), frame), None)

    def gradients(params: dict, n: int) -> dict:
        nonlocal rollout
        parts = []
        for part in range(PARTS):
            key = updates._keys(KEY, 1, n, part, SETUP)[1]
            step_keys = jax.random.split(jax.random.split(jax.random.fold_in(key, 1))[1], 4)  # backup_every
            restarts = jax.tree.map(lambda *x: jnp.stack(x), *[starts_at(jax.random.split(k)[1]) for k in step_keys])
            end, trajectory = toy_imagine(params, before.world_model.params, restarts, rollout, key, None)
            parts.append(toy_actor_critic(params, trajectory, rollout.lstm, None))
            rollout = end
        grads, means = averaged(parts)
        metrics.append(means)
        return grads

    after, actual = programs["actor_critic"](before, np.int32(3))
    params, norms = adamw(before.actor_critic.params, gradients, 3, CONFIG.actor_critic.optimizer)
    assert_learner(after.actor_critic, params, 3)
    assert_metrics(actual, metrics, norms)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), after.rollout, rollout)
    assert_same(after._replace(actor_critic=before.actor_critic, rollout=before.rollout), before)


@pytest.mark.parametrize("network", ["world_model", "actor_critic"])
def test_three_updates_at_once_are_one_and_two(programs: dict, network: str) -> None:
    at_once, first = programs[network](state(), np.int32(3))[0], programs[network](state(), np.int32(1))[0]
    assert_same(at_once, programs[network](first, np.int32(2))[0])


def test_a_state_takes_the_weights_of_both_networks_and_nothing_else() -> None:
    before = state()
    twice = jax.tree.map(lambda x: 2 * x, before.params)
    after = before.with_params(twice)
    jax.tree.map(np.testing.assert_array_equal, after.params, twice)
    assert_same(after.with_params(before.params), before)


def test_updates_stop_after_the_first_metric_that_is_not_finite() -> None:
    values = jnp.array([1.0, 4.0, jnp.nan, 16.0])

    def update(n: jax.Array) -> tuple[jax.Array, dict]:
        return n + 1, {"value": values[n], "index": n.astype(jnp.float32)}

    run = jax.jit(lambda num_updates: updates._repeat(update, jnp.zeros((), jnp.int32), num_updates))
    done, metrics = run(4)
    assert done == metrics["num_updates"] == 3 and np.isnan(metrics["value"]) and metrics["index"] == 1.0
    done, metrics = run(2)
    assert done == metrics["num_updates"] == 2 and metrics["value"] == 2.5 and metrics["index"] == 0.5
    done, metrics = run(0)
    assert done == metrics["num_updates"] == 0 and metrics["value"] == 0.0


def rows(keys: jax.Array) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.asarray(jax.random.key_data(keys)).reshape(-1, 2).tolist()]


def test_every_network_update_part_and_device_has_keys_of_its_own() -> None:
    numbers, devices = jnp.stack(jnp.meshgrid(*map(jnp.arange, (2, 3, 3)), indexing="ij"), -1).reshape(-1, 3), 3

    def on_devices(numbers: jax.Array) -> tuple[jax.Array, jax.Array]:
        keys = lambda _: updates._keys(KEY, *numbers, SETUP._replace(axis="data"))  # noqa: E731
        return jax.vmap(keys, axis_name="data")(jnp.arange(devices))

    shared, own = jax.vmap(on_devices)(numbers)
    for device in range(devices):
        assert rows(shared[:, device]) == rows(shared[:, 0])
    assert len({*rows(shared[:, 0]), *rows(own)}) == len(numbers) * (1 + devices)


def test_no_key_is_used_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who draws in three parts of updates, and with which keys."""
    used = []

    def consumer(result=None) -> Callable:
        def note(*args):
            for key in (arg for arg in args if isinstance(arg, jax.Array)):
                used.extend(rows(key) + rows(jax.random.split(key, 4)))  # consumers may split theirs
            return result

        return note

    blank = Steps(None, None, None, None, jnp.zeros((8, CONFIG.context), bool))
    frames = jnp.zeros((8, CONFIG.context, 20, 20, 3))
    monkeypatch.setattr(updates, "read", lambda *_: blank)
    for module in (lessons, updates):
        monkeypatch.setattr(module, "segments", lambda *_: Segment(frames, None, None, None, blank.mask))
    monkeypatch.setattr(lessons, "segment_places", consumer())
    monkeypatch.setattr(updates, "start_places", consumer())
    monkeypatch.setattr(lessons, "draw_loss", consumer())
    monkeypatch.setattr(imagination, "draw_step", consumer())
    monkeypatch.setattr(jax.random, "gumbel", consumer())
    one_by_one = lambda function: lambda keys: jax.tree.map(lambda *x: jnp.stack(x), *map(function, keys))  # noqa: E731
    monkeypatch.setattr(jax, "vmap", one_by_one)
    for update, part in ((0, 0), (0, 1), (1, 0)):
        updates.world_model_batch(KEY, replay(), update, part, SETUP)
        updates.actor_critic_places(KEY, None, update, part, SETUP)
        key = updates._keys(KEY, 1, update, part, SETUP)[1]
        for step_key in updates.draw_rollout(key, SETUP).env:
            updates.draw_env_step(step_key, blank, SETUP)
    # segments, two keys of the loss; first starts; actions; noise and starts of every step
    assert len(used) == 5 * 3 * (3 + 1 + 1 + 2 * CONFIG.actor_critic.loss.backup_every)
    assert len(set(used)) == len(used)


def test_starts_drawn_at_once_are_those_drawn_one_by_one() -> None:
    """Bit for bit, so that a run that is resumed goes on as it began."""
    key = updates._keys(KEY, 1, np.int32(5), np.int32(1), SETUP)[1]
    step_keys = jax.random.split(jax.random.split(jax.random.fold_in(key, 1))[1], 4)  # backup_every
    c = CONFIG.actor_critic.training
    draw = jax.jit(
        lambda key: start_places(replay(), key, c.batch_size, CONFIG.context, CONFIG.context, c.sample_weights)
    )
    alone = [draw(jax.random.fold_in(key, 0)), *(draw(jax.random.split(k)[1]) for k in step_keys)]
    at_once = jax.jit(lambda: updates.actor_critic_places(KEY, replay(), np.int32(5), np.int32(1), SETUP))()
    jax.tree.map(lambda every, *one: np.testing.assert_array_equal(every, np.stack(one)), at_once, *alone)


def test_draws_of_a_rollout_are_those_of_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each from the step's own key, in the order of the steps."""
    monkeypatch.setattr(updates, "rollout", lambda params, network, env_step, begin, draws: draws)
    policy = updates.draw_rollout(KEY, SETUP)
    places = updates.actor_critic_places(KEY, replay(), np.int32(0), np.int32(0), SETUP)
    restarts = jax.tree.map(lambda x: x[1:], read(replay(), places))
    at_once = jax.jit(lambda: updates.imagine({}, {}, restarts, None, KEY, SETUP))()
    np.testing.assert_array_equal(at_once.action, policy.action)
    draw = jax.jit(lambda key, start: updates.draw_env_step(key, start, SETUP))
    for t in (0, SETUP.actor_critic.loss.backup_every - 1):
        alone = draw(policy.env[t], jax.tree.map(lambda x, t=t: x[t], restarts))
        assert np.ptp(alone[1].frames) > 0 and np.ptp(alone[0].x_init) > 0
        jax.tree.map(lambda every, one, t=t: np.testing.assert_allclose(every[t], one, 1e-6), at_once.env[:2], alone)


def test_each_network_draws_episodes_with_its_own_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    values = get_config()
    values.world_model.training.sample_weights = (0.2, 0.8)
    values.actor_critic.training.sample_weights = (0.6, 0.3, 0.1)
    config = pour(values)
    setup = make_setup(build_agent(config, 3), config)
    replay = jax.eval_shape(lambda: empty_replay(config, make_mesh(jax.devices()[:1]), 20))
    seen = []
    for module, name in ((lessons, "segment_places"), (updates, "start_places")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, real=real: seen.append(args[-1]) or real(*args))
    key, number = jax.eval_shape(lambda: (jax.random.key(0), jnp.int32(0)))
    jax.eval_shape(lambda *arrays: updates.world_model_batch(*arrays, setup), key, replay, number, number)
    jax.eval_shape(lambda *arrays: updates.actor_critic_places(*arrays, setup), key, replay, number, number)
    assert seen == [(0.2, 0.8), (0.6, 0.3, 0.1)]


def test_what_is_older_goes_with_its_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of a long burn-in in one piece, at the first start and at the restarts of a step."""
    setup, K = SETUP._replace(burn_in=9), 9
    monkeypatch.setattr(updates, "rollout", lambda params, network, env_step, begin, draws: (env_step, draws))
    monkeypatch.setattr(updates, "begin_imagining", lambda params, start, setup: start)
    monkeypatch.setattr(imagination, "step", lambda *args: args)
    number = np.int32(0)
    whole = read(replay(), updates.actor_critic_places(KEY, replay(), number, number, setup))
    starts, older = updates._starts(replay(), KEY, number, number, setup)
    monkeypatch.setattr(jax.lax, "cond", lambda is_first, begin, go_on: begin())
    first = updates._begin(None, True, {}, starts, older, setup)
    expected = segments(jax.tree.map(lambda x: x[0], whole), setup.frame_shape)
    assert first.mask.shape[1] == K + 1 and not first.mask.all()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), first, expected)

    restarts = jax.tree.map(lambda x: x[1:], starts)
    env_step, draws = updates.imagine({}, {}, restarts, None, KEY, setup, older)
    for t in (0, SETUP.actor_critic.loss.backup_every - 1):
        *_, start, _, look_back = env_step(None, None, jax.tree.map(lambda x, t=t: x[t], draws.env))
        rows = jnp.arange(len(start.mask))
        expected = segments(jax.tree.map(lambda x, t=t: x[t + 1], whole), setup.frame_shape)
        got = joined(look_back(rows), start)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, expected)
