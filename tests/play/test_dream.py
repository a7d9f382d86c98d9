"""The dream beside the imagination of training, for the same draws."""

import dataclasses
import functools
import time
from collections.abc import Iterator

import jax
import numpy as np
import pytest

from edeline_jax.actor_critic.network import burn_in
from edeline_jax.actor_critic.rollout import act
from edeline_jax.play.dream import split
from edeline_jax.play.session import Session
from edeline_jax.play.stage import Stage
from edeline_jax.replay.frame import from_float, to_float
from edeline_jax.replay.segment import Segment, pad
from edeline_jax.world_model import imagination
from tests.play.stages import CONFIG, NETWORKS, L, library, make_stage, ticked, told

SEED = 7


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = make_stage()
    yield stage
    stage.programs.close()


def segment(number: int) -> Segment:
    start = library().start(*library().place(number))
    there = np.ones((1, L), bool)
    return jax.jit(pad)(start.frames[None], start.actions[None], np.zeros((1, L), np.float32), ~there, there)


def key(number: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(SEED), number)


def assert_same_frame(shown: np.ndarray, imagined: jax.Array) -> None:
    """Equal but for rounding: two programs may sum in another order, and a value between two levels falls to either."""
    apart = np.abs(shown.astype(int) - np.asarray(from_float(imagined[0])))
    assert apart.max() <= 1 and (apart > 0).mean() < 5e-3


@pytest.mark.ci
def test_a_dream_is_the_imagination_of_training(stage: Stage) -> None:
    """Equal frames, rewards, ends and horizons, and after an end the next start."""
    params, model, shape = stage.params["world_model"], NETWORKS.world_model, CONFIG.frame_shape
    config = dataclasses.replace(CONFIG.world_model_env, horizon=2)
    step = jax.jit(functools.partial(imagination.step, model=model, config=config))
    draw = jax.jit(lambda key: imagination.draw_step(jax.random.split(key)[0], shape, 1, config))
    session = Session(stage, SEED)
    told(session, "horizon", horizon=config.horizon)
    _, images = ticked(session)
    np.testing.assert_array_equal(images["dream"], library().start(*library().place(0)).frames[-1])
    state, starts, draws = imagination.reset(params, model, segment(0)), 1, 1
    ends = cuts = 0
    for action in np.random.default_rng(0).integers(0, 3, 40).tolist():
        told(session, "act", action=action)
        header, images = ticked(session)
        draw_of_step = draw(key(draws))
        state, outcome = step(params, state=state, action=np.array([action]), draws=draw_of_step, start=segment(starts))
        assert_same_frame(images["dream"], outcome.final_obs)
        shown = header["dream"]
        assert (shown["action"], shown["reward"], shown["end"]) == (action, outcome.reward[0], outcome.end[0])
        assert shown["cut"] == outcome.truncation[0]
        draws += 1
        if shown["end"] or shown["cut"]:
            ends, cuts, starts, draws = ends + shown["end"], cuts + (not shown["end"]), starts + 1, draws + 1
            header, images = ticked(session)
            assert header["dream"]["step"] == 0
            assert_same_frame(images["dream"], outcome.obs)
    assert ends and cuts


@pytest.mark.parametrize("step", [L - 1, 9])
def test_a_dream_remembers_as_long_as_imagination_does(stage: Stage, step: int) -> None:
    """With K = 6, at an episode's beginning, and where more frames are recorded than are seen."""
    env = dataclasses.replace(CONFIG.world_model_env, burn_in=6)
    long = make_stage(dataclasses.replace(CONFIG, world_model_env=env))
    start = long.library.start(1, step)
    dream, _ = long.programs.begin(start, key(0))
    n = len(start.frames)
    assert n == min(step, 6) + 1
    there = np.ones((1, n), bool)
    seen = jax.jit(pad)(start.frames[None], start.actions[None], np.zeros((1, n), np.float32), ~there, there)
    state = imagination.reset(stage.params["world_model"], NETWORKS.world_model, seen)
    lstm = burn_in(stage.params["actor_critic"], NETWORKS.actor_critic, seen.frames)
    for got, expected in ((dream.world, state), (dream.lstm, lstm)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-5), got, expected)
    short, _ = stage.programs.begin(stage.library.start(1, step), key(0))
    moved = jax.tree.map(
        lambda a, b: float(np.abs(a - b).max()), (dream.world.memory, dream.lstm), (short.world.memory, short.lstm)
    )
    assert (max(jax.tree.leaves(moved)) > 1e-3) == (n > L)
    long.programs.close()


def test_predictions_and_memory_are_the_models(stage: Stage) -> None:
    params, model = stage.params["world_model"], NETWORKS.world_model
    session = Session(stage, SEED)
    told(session, "horizon", horizon=None)
    told(session, "temperature", reward=0, end=0)
    ticked(session)
    state, hs = imagination.reset(params, model, segment(0)), []
    see, outcome = (jax.jit(functools.partial(model.apply, method=method)) for method in ("see", "outcome"))
    for action in (1, 2, 0):
        told(session, "act", action=action)
        header, images = ticked(session)
        newest, shown_frame = state.frames[:, -1], to_float(images["dream"])[None]
        h, memory = see(params, state.memory, newest, np.array([action]))
        *logits, memory = outcome(params, memory, h, newest, np.array([action]), shown_frame)
        frames = np.concatenate([state.frames[:, 1:], shown_frame[:, None]], 1)
        state = state._replace(frames=frames, memory=memory)
        rewards, ends = (jax.nn.softmax(x[0]) for x in logits)
        shown = header["dream"]
        assert shown["expected_reward"] == pytest.approx(float(rewards[2] - rewards[0]), rel=1e-3)
        np.testing.assert_allclose(shown["ends"], ends[1], rtol=1e-4)
        assert shown["reward"] == np.argmax(rewards) - 1 and shown["end"] == bool(ends[1] > 0.5)
        hs.append(np.asarray(h[0]))
        last = hs[-2] if len(hs) > 1 else 0 * hs[0]
        np.testing.assert_allclose(shown["memory"], [np.linalg.norm(hs[-1]), np.linalg.norm(hs[-1] - last)], rtol=1e-4)
        if shown["end"]:
            break
    assert hs


def test_the_policy_plays_in_the_dream_as_in_training(stage: Stage) -> None:
    """Its LSTM is burnt in on the start, its actions are drawn from what it thinks of each frame."""
    params, network = stage.params["actor_critic"], NETWORKS.actor_critic
    session = Session(stage, SEED)
    told(session, "driver", driver="policy")
    told(session, "horizon", horizon=None)
    taken, starts, begins, action, lstm = [], 0, True, None, None
    for number in range(20):
        header, images = ticked(session)
        shown = header["dream"]
        if begins:
            lstm, policy_key, starts = burn_in(params, network, segment(starts).frames[:, :-1]), key(number), starts + 1
        else:
            policy_key = split(key(number))[1]
            taken.append(shown["action"])
            assert taken[-1] == action[0]
        gumbel = jax.random.gumbel(policy_key, (1, 3))
        logits, value, lstm, action = act(params, network, to_float(np.asarray(images["dream"]))[None], lstm, gumbel)
        policy = np.asarray(jax.nn.softmax(logits[0]), np.float64)
        np.testing.assert_allclose(shown["policy"], policy, rtol=1e-3)
        np.testing.assert_allclose(shown["value"], value[0], rtol=1e-4)
        np.testing.assert_allclose(shown["entropy"], -(policy * np.log(policy)).sum(), rtol=1e-3)
        begins = shown["end"]
    assert len(set(taken)) == 3 and starts > 1


def test_the_temperature_of_ends_decides_how_often_they_are_drawn(stage: Stage) -> None:
    lengths = {}
    for temperature in (0, 4):
        session = Session(stage, SEED)
        told(session, "temperature", reward=1, end=temperature)
        told(session, "horizon", horizon=None)
        lengths[temperature] = sum(bool(ticked(session)[0]["dream"]["end"]) for _ in range(40))
    assert lengths[0] != lengths[4] > 3


def test_another_sampler_is_compiled_while_play_goes_on(stage: Stage) -> None:
    """And then gives what imagination gives with it."""
    session = Session(stage, SEED)
    told(session, "horizon", horizon=None)
    told(session, "temperature", reward=0, end=0)
    told(session, "strip", shown=True)
    ticked(session)
    told(session, "sampler", steps=2, order=2, churn=1)
    steps, deadline = 0, time.monotonic() + 120
    while len(ticked(session)[1]) != 4:
        steps += 1
        time.sleep(0.05)
        assert time.monotonic() < deadline
    header, _ = ticked(session)
    assert header["settings"]["sampler"] == {"steps": 2, "order": 2, "churn": 1} and not header["settings"]["note"]


# --- real games ---
