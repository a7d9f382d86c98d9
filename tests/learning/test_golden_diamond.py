"""denoiser_loss.npz, rew_end_loss.npz, updates.npz and imagination.npz of golden/diamond, through the update programs.

Recorded draws stand in for the programs' own.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.actor_critic.rollout import PolicyDraws, RolloutState
from edeline_jax.agent import reference
from edeline_jax.agent.networks import build_agent
from edeline_jax.learning import updates
from edeline_jax.learning.optimizer import decay_mask, make_world_model_optimizer
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import Learner, TrainState
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model import imagination
from edeline_jax.world_model.diamond_loss import Lessons
from edeline_jax.world_model.imagination import ImaginationState, StepDraws
from edeline_jax.world_model.loss import LossDraws
from tests.diamond_data import config, frames, load, params
from tests.golden_data import assert_close, channels_last

AGENT = build_agent(config(), 5)
SETUP = make_setup(AGENT, config())
MODEL, WEIGHTS = AGENT.world_model, params()["world_model"]
L, T, B = config().context, 6, 4
NETWORKS = ("denoiser", "rew_end_model")


def segment(arrays: dict, prefix: str, rows: int) -> Segment:
    """The recorded segments, filled up with padding to `rows`, which changes no loss."""
    mask = arrays[f"{prefix}mask"]
    values = (
        frames(arrays[f"{prefix}obs"], mask),
        arrays[f"{prefix}act"],
        arrays[f"{prefix}rew"],
        arrays[f"{prefix}end"].astype(bool),
        mask,
    )
    return Segment(*(filled(x, rows, 0) for x in values))


def filled(x: np.ndarray, rows: int, axis: int) -> jax.Array:
    return jnp.pad(x, [(0, rows - x.shape[axis]) if a == axis else (0, 0) for a in range(np.ndim(x))])


def batch(denoiser: tuple[dict, str], rew_end: tuple[dict, str]) -> tuple[Lessons, LossDraws]:
    """Of 4 and 7 segments, as most losses were recorded with."""
    arrays, prefix = rew_end
    outcomes = segment(arrays, prefix, 7)
    nexts = filled(frames(arrays[f"{prefix}next_obs"], arrays[f"{prefix}next_mask"]), 7, 0)
    there = outcomes.mask[:, 1:]
    np.testing.assert_array_equal(nexts[there], outcomes.frames[:, 1:][there])
    outcomes = outcomes._replace(frames=jnp.concatenate([outcomes.frames[:, :1], nexts], 1))
    arrays, prefix = denoiser
    sigma, offset, noise = (arrays[f"{prefix}draw_{name}"] for name in ("sigma", "offset_noise", "noise"))
    sigma = np.pad(sigma, ((0, 0), (0, 4 - sigma.shape[1])), constant_values=1.0)
    draws = LossDraws(jnp.array(0), sigma, *(filled(channels_last(x), 4, 1) for x in (offset, noise)))
    return Lessons(segment(arrays, prefix, 4), outcomes), draws


def state(number: int, warm_up: int) -> TrainState:
    """The recorded world model, which learns from batch `number` next; its warm-up stands at `warm_up`."""
    optimizer = make_world_model_optimizer(MODEL, config().world_model.optimizer)
    clip, adam, decay, schedule = optimizer.init(WEIGHTS)
    warm = schedule._replace(count=jnp.asarray(warm_up))
    learner = Learner(WEIGHTS, (clip, adam, decay, warm), jnp.asarray(number))
    return TrainState(learner, None, None, jax.random.key(0))


@functools.cache
def world_model_program() -> Callable:
    """`train_world_model`: update 0 learns from the recorded losses, 1 and 2 from the recorded updates."""
    recorded = load("updates")
    places = [
        ((load("denoiser_loss"), ""), (load("rew_end_loss"), "")),
        *(((recorded, f"denoiser_step{i}_"), (recorded, f"rew_end_model_step{i}_")) for i in range(2)),
    ]
    batches = jax.tree.map(lambda *x: jnp.stack(x), *[batch(*place) for place in places])
    gradients = updates.world_model_gradients

    def with_gradients(*args) -> tuple[dict, dict]:
        grads, metrics = gradients(*args)
        return grads, {**metrics, "gradients": grads}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(updates, "world_model_batch", lambda key, replay, n, *_: jax.tree.map(lambda x: x[n], batches))
        patch.setattr(updates, "world_model_gradients", with_gradients)
        program = jax.jit(lambda state, n: updates.train_world_model(state, None, n, SETUP))
        return program.lower(state(0, 0), np.int32(1)).compile()


def by_name(tree: dict, network: str) -> dict[str, np.ndarray]:
    """Those of a tree like the world model's parameters that are one network's, under the reference's names."""
    tensors = reference.to_torch({**params(), "world_model": tree}, config())
    return {name.removeprefix(f"{network}."): x for name, x in tensors.items() if name.startswith(f"{network}.")}


@pytest.mark.ci
def test_losses_and_their_gradients() -> None:
    """1e-5 on the denoiser's loss tells whether its own frames are quantised in the second pass."""
    metrics = world_model_program()(state(0, 0), np.int32(1))[1]
    losses = {name: load(f"{name}_loss") for name in ("denoiser", "rew_end")}
    assert_close(metrics["loss_denoising"], losses["denoiser"]["loss"], 1e-5)
    assert_close(metrics["loss_rew"] + metrics["loss_end"], losses["rew_end"]["loss"], 1e-5)
    assert_close(metrics["loss_world_model"], losses["denoiser"]["loss"] + losses["rew_end"]["loss"], 1e-5)
    for name in ("rew", "end"):
        assert_close(metrics[f"loss_{name}"], losses["rew_end"][f"metric_loss_{name}"], 1e-5)
        assert np.array_equal(metrics[f"confusion_{name}"], losses["rew_end"][f"confusion_{name}"])
    for network, arrays in zip(NETWORKS, losses.values(), strict=True):
        grads, compared = by_name(metrics["gradients"], network), 0
        assert_close(metrics[f"grad_norm_{network}"], arrays["grad_norm"], 1e-4)
        for name, expected in arrays.items():
            kind, _, tensor = name.partition("/")
            if kind == "grad_l2":
                assert_close(np.linalg.norm(grads[tensor]), expected, 1e-4)
            elif kind == "grad":
                assert_close(grads[tensor], expected, 1e-4)
                compared += 1
        assert compared > 50


@pytest.mark.ci
def test_two_updates() -> None:
    """Each network clipped by its own norm, 1 and 100; the warm-up goes on from its 50th update."""
    arrays, after = load("updates"), state(1, 50)
    for i in range(2):
        after, metrics = world_model_program()(after, np.int32(1))
        assert_close(metrics["loss_denoising"], arrays[f"denoiser_step{i}_loss"], 1e-5)
        assert_close(metrics["loss_rew"] + metrics["loss_end"], arrays[f"rew_end_model_step{i}_loss"], 1e-5)
        for network in NETWORKS:
            assert_close(metrics[f"grad_norm_{network}"], arrays[f"{network}_step{i}_grad_norm"], 1e-4)
    change = jax.tree.map(lambda new, old: new - old, after.world_model.params, WEIGHTS)
    for network in NETWORKS:
        deltas, compared = by_name(change, network), 0
        for name, expected in arrays.items():
            kind, _, tensor = name.partition("/")
            if kind == f"{network}_delta_l2":
                assert_close(np.linalg.norm(deltas[tensor]), expected, 1e-2)
            elif kind == f"{network}_delta":
                assert_close(deltas[tensor], expected, 2e-2)  # Adam steps by gradients over their size, however small
                compared += 1
        assert compared > 50


def test_decay_groups_by_name() -> None:
    mask = jax.tree.map(lambda p, m: np.full(np.shape(p), m, np.float32), WEIGHTS, decay_mask(WEIGHTS))
    for network in NETWORKS:
        ours = {name for name, m in by_name(mask, network).items() if np.all(m == 1)}
        assert ours == set(load("updates")[f"{network}_decayed_names"])


def recorded(k: int, name: str) -> np.ndarray:
    """What was recorded for every step of rollout k, [T, B, ...]."""
    return load("imagination")[f"it{k}_{name}"].swapaxes(0, 1)


def start(k: int, number: int) -> Segment:
    arrays, prefix = load("imagination"), f"it{k}_start{number}_"
    mask = arrays[f"{prefix}mask"]
    none = np.zeros(mask.shape)
    return Segment(frames(arrays[f"{prefix}obs"], mask), arrays[f"{prefix}act"], none, none.astype(bool), mask)


def noise(classes: np.ndarray, number: int) -> np.ndarray:
    """Gumbel noise that makes the recorded class win."""
    return 1e6 * np.eye(number, dtype=np.float32)[classes]


def draws(k: int) -> StepDraws:
    arrays = load("imagination")
    classes = noise(arrays[f"it{k}_draw_rew_class"], 3), noise(arrays[f"it{k}_draw_end"], 2)
    return StepDraws(*classes, channels_last(arrays[f"it{k}_x_init"]), None)


def starts(k: int) -> Segment:
    """[T, B]: the recorded starts stand where an environment was restarted, in index order."""
    dead, number = load("imagination")[f"it{k}_dead"].astype(bool), 1 - k
    blank = np.zeros((T, B, L))
    every = [np.zeros((T, B, L, 32, 32, 3), np.float32), blank.astype(int), blank, blank > 0, blank > 0]
    for t in np.flatnonzero(dead.any(1)):
        for x, own in zip(every, start(k, number), strict=True):
            x[t, dead[t]] = own
        number += 1
    return Segment(*every)


def assert_frames(ours: jax.Array, levels: np.ndarray, mask: np.ndarray | bool = True) -> None:
    """A value on an edge between two levels may fall to either side."""
    error = np.abs(np.asarray(ours) - np.asarray(frames(levels, mask))) * 255 / 2
    assert error.max() < 1.01 and (error > 1e-2).mean() < 5e-3


def assert_state(env: ImaginationState, k: int) -> None:
    arrays = load("imagination")
    assert_frames(env.frames, arrays[f"it{k}_obs_buffer"], arrays[f"it{k}_obs_buffer_mask"])
    assert np.array_equal(env.memory.actions, arrays[f"it{k}_act_buffer"])
    assert np.array_equal(env.age, arrays[f"it{k}_ep_len"])
    assert_close(env.memory.lstm.hx, arrays[f"it{k}_rew_end_hx"], 1e-3)
    assert_close(env.memory.lstm.cx, arrays[f"it{k}_rew_end_cx"], 1e-3)


@pytest.mark.ci
def test_every_imagined_step_from_the_recorded_frame() -> None:
    """Frames, logits, what memory is burnt in on at every start, and what is carried over."""
    reset = jax.jit(lambda start: imagination.reset(WEIGHTS, MODEL, start))
    advance = jax.jit(lambda *args: imagination.advance(WEIGHTS, MODEL, *args, SETUP.world_model_env))
    env = reset(start(0, 0))
    assert_close(env.memory.lstm.hx, load("imagination")["it0_start0_hx"], 1e-5)
    for k in range(2):
        noises, number, dead = draws(k), 1 - k, load("imagination")[f"it{k}_dead"].astype(bool)
        for t in range(T):
            newest = jnp.where(env.frames[:, -1] == 0, 0, frames(recorded(k, "obs")[t]))
            env = env._replace(frames=env.frames.at[:, -1].set(newest))
            drawn = jax.tree.map(lambda x, t=t: x[t], noises)
            env, said = advance(env, recorded(k, "act")[t], drawn)
            assert_frames(said.trajectory[-1], load("imagination")[f"it{k}_final_obs"][t])
            assert_close(said.reward_logits, load("imagination")[f"it{k}_logits_rew"][t], 1e-3)
            assert_close(said.end_logits, load("imagination")[f"it{k}_logits_end"][t], 1e-3)
            reward, end = imagination.draw_outcome(MODEL, said, drawn)
            assert np.array_equal(reward, recorded(k, "rew")[t]) and np.array_equal(end, recorded(k, "end")[t])
            assert np.array_equal(env.age >= SETUP.world_model_env.horizon, recorded(k, "trunc")[t])
            if dead[t].any():
                own = imagination.reset(WEIGHTS, MODEL, start(k, number))
                assert_close(own.memory.lstm.hx, load("imagination")[f"it{k}_start{number}_hx"], 1e-5)
                assert_close(own.memory.lstm.cx, load("imagination")[f"it{k}_start{number}_cx"], 1e-5)
                env = jax.tree.map(lambda x, new, rows=dead[t]: x.at[rows].set(new), env, own)
                number += 1
        assert_state(env, k)


@pytest.mark.ci
def test_two_actor_critic_updates() -> None:
    """Whole rollouts with the program's own restarts, from the recorded frames; losses and gradients on these."""
    step = imagination.step

    def step_from(weights: dict, model, env: ImaginationState, action, drawn: tuple, *args) -> tuple:
        own, newest = drawn
        return step(weights, model, env._replace(frames=env.frames.at[:, -1].set(newest)), action, own, *args)

    def program(begin: RolloutState, fresh: Segment, inputs: tuple) -> tuple:
        gumbel, noises, newest, bootstraps = inputs
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(updates, "draw_rollout", lambda *_: PolicyDraws(gumbel, (noises, newest)))
            patch.setattr(updates, "draw_env_step", lambda drawn, start, _: (drawn, start))
            patch.setattr(imagination, "step", step_from)
            end, trajectory = updates.imagine(params()["actor_critic"], WEIGHTS, fresh, begin, None, SETUP)
        on_record = trajectory._replace(obs=newest, bootstraps=bootstraps)
        return end, trajectory, updates.actor_critic_gradients(params()["actor_critic"], on_record, begin.lstm, SETUP)

    arrays, program, end = load("imagination"), jax.jit(program), updates.begin_imagining(WEIGHTS, start(0, 0), SETUP)
    for k in range(2):
        newest = frames(recorded(k, "obs"))
        inputs = noise(arrays[f"it{k}_draw_act"], 5), draws(k), newest, recorded(k, "val_bootstrap")
        end, trajectory, (grads, metrics) = program(end, starts(k), inputs)
        names = {"actions": "act", "rewards": "rew", "ends": "end", "truncations": "trunc"}
        for ours, theirs in names.items():
            assert np.array_equal(getattr(trajectory, ours), recorded(k, theirs)), ours
        for ours, theirs in {"logits": "logits_act", "values": "val", "bootstraps": "val_bootstrap"}.items():
            assert_close(getattr(trajectory, ours), recorded(k, theirs), 2e-3)
        assert_state(end.env, k)
        assert_close(end.lstm.hx, arrays[f"it{k}_hx"], 1e-3)
        for name in ("loss_actions", "loss_values", "loss_entropy", "loss_total", "policy_entropy"):
            assert_close(metrics[name], arrays[f"it{k}_metric_{name}"], 2e-5)
        tensors = reference.to_torch({"world_model": WEIGHTS, "actor_critic": grads}, config())
        for name, expected in arrays.items():
            kind, _, tensor = name.partition("/")
            if kind == f"it{k}_grad":
                assert_close(tensors[f"actor_critic.{tensor}"], expected, 1e-3)
