"""world_model_loss.npz, world_model_updates.npz and imagination.npz: losses, gradients, optimizer steps, rollouts."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax import interop
from edeline_jax.actor_critic.rollout import PolicyDraws, RolloutState, rollout
from edeline_jax.agent import build_agent
from edeline_jax.replay.segment import Segment, pad
from edeline_jax.training.optimizer import decay_mask, make_optimizer
from edeline_jax.training.state import Learner
from edeline_jax.training.updates import (
    actor_critic_gradients,
    apply_gradients,
    world_model_gradients,
)
from edeline_jax.world_model import imagination
from edeline_jax.world_model.imagination import StepDraws
from edeline_jax.world_model.loss import LossDraws
from tests.golden_data import assert_close, channels_last, config, load, params

AGENT = build_agent(config(), 5)


class ImaginationDraws(NamedTuple):
    """What one imagined step takes here: recorded draws, and the recorded start for environments that end."""

    step: StepDraws
    start: Segment


DEAD = ("cross_attn.q_proj", "cross_attn.k_proj")


def batch(arrays: dict, prefix: str) -> Segment:
    frames, actions, rewards, ends, mask = (arrays[prefix + key] for key in ("obs", "act", "rew", "end", "mask"))
    return pad(jnp.asarray(channels_last(frames)), actions, rewards, ends.astype(bool), mask)


def loss_draws(arrays: dict, prefix: str) -> LossDraws:
    offset, noise = (channels_last(arrays[f"{prefix}draw_{key}"]) for key in ("offset_noise", "noise"))
    return LossDraws(jnp.asarray(arrays[f"{prefix}draw_start"][0]), arrays[f"{prefix}draw_sigma"], offset, noise)


@functools.cache
def jitted_gradients():
    return jax.jit(lambda p, b, d: world_model_gradients(p, AGENT.world_model, b, d, config().world_model.loss, None))


def reference_layout(world_model: dict, actor_critic: dict | None = None) -> dict[str, np.ndarray]:
    """Trees of our parameters' shape, under the reference's names."""
    tree = {"world_model": world_model, "actor_critic": actor_critic or params()["actor_critic"]}
    return interop.to_torch(tree, config())


def recorded(arrays: dict, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in arrays.items():
        if name.startswith(prefix) and not any(dead in name for dead in DEAD):
            yield name.removeprefix(prefix), value


def harmonized_params() -> dict:
    """Harmonizers at 0.3 and -0.4, as recorded."""
    inner = {**params()["world_model"]["params"], "harmony_s1": np.float32(0.3), "harmony_s2": np.float32(-0.4)}
    return {"params": inner}


def test_world_model_loss() -> None:
    arrays = load("world_model_loss")
    grads, metrics = jitted_gradients()(harmonized_params(), batch(arrays, ""), loss_draws(arrays, ""))
    assert_close(metrics["loss_world_model"], arrays["loss"], 1e-5)
    for name in ("loss_world_model", "loss_end", "harmony_s1", "harmony_s2"):
        assert_close(metrics[name], arrays[f"metric_{name}"], 1e-5)
    # the reference reports these two after their harmonizer, and its other metrics are functions of s1 and s2
    assert_close(metrics["loss_rew"] * np.exp(-0.3), arrays["metric_loss_rew"], 1e-5)
    assert_close(metrics["loss_denoising"] * np.exp(0.4), arrays["metric_loss_denoising"], 1e-5)
    assert np.array_equal(metrics["confusion_rew"], arrays["confusion_rew"])
    assert np.array_equal(metrics["confusion_end"], arrays["confusion_end"])

    by_name = reference_layout(grads)
    compared = 0
    for name, norm in recorded(arrays, "grad_l2/"):
        assert_close(np.linalg.norm(by_name[f"world_model.{name}"]), norm, 1e-3)
    for name, grad in recorded(arrays, "grad/"):
        assert_close(by_name[f"world_model.{name}"], grad, 1e-3)
        compared += 1
    assert compared > 100
    norm = np.sqrt(sum(np.square(grad).sum() for grad in jax.tree.leaves(grads)))
    assert_close(norm, arrays["grad_norm"], 1e-4)


def test_three_world_model_updates() -> None:
    arrays = load("world_model_updates")
    optimizer = make_optimizer(config().world_model.optimizer)
    before = params()["world_model"]
    clip, adam, decay, schedule = optimizer.init(before)
    learner = Learner(before, (clip, adam, decay, schedule._replace(count=jnp.asarray(50))), jnp.zeros((), jnp.int32))
    for i in range(3):
        grads, metrics = jitted_gradients()(learner.params, batch(arrays, f"step{i}_"), loss_draws(arrays, f"step{i}_"))
        assert_close(metrics["loss_world_model"], arrays[f"step{i}_loss"], 1e-5)
        learner, grad_norm = apply_gradients(learner, grads, optimizer)
        assert_close(grad_norm, arrays[f"step{i}_grad_norm"], 1e-3)

    start, end = reference_layout(before), reference_layout(learner.params)
    for name, norm in recorded(arrays, "delta_l2/"):
        delta = end[f"world_model.{name}"] - start[f"world_model.{name}"]
        assert_close(np.linalg.norm(delta), norm, 1e-2)
    for name, value in recorded(arrays, "param/"):
        assert_close(end[f"world_model.{name}"], value, 1e-4)


def test_decay_groups_by_name() -> None:
    mask = jax.tree.map(
        lambda p, m: np.full(np.shape(p), m, np.float32), params()["world_model"], decay_mask(params()["world_model"])
    )
    ours = {
        name.removeprefix("world_model.")
        for name, m in reference_layout(mask).items()
        if name.startswith("world_model") and np.all(m == 1)
    }
    theirs = {name for name in load("world_model_updates")["decayed_names"] if not any(dead in name for dead in DEAD)}
    assert ours == theirs


def one_hot_noise(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Gumbel noise that makes the recorded class win."""
    return 1e6 * np.eye(num_classes, dtype=np.float32)[classes]


def starts(arrays: dict, k: int, dead: np.ndarray, first: int) -> Segment:
    """[T, B] starts: the recorded ones stand where an environment was restarted, in index order."""
    T, B = dead.shape
    frames, actions, drawn = np.zeros((T, B, 4, 32, 32, 3), np.uint8), np.zeros((T, B, 4), np.int32), first
    for t in range(T):
        if dead[t].any():
            frames[t, dead[t]] = channels_last(arrays[f"it{k}_start{drawn}_obs"])
            actions[t, dead[t]] = arrays[f"it{k}_start{drawn}_act"]
            drawn += 1
    return _real(frames, actions)


def _real(frames: np.ndarray, actions: np.ndarray) -> Segment:
    blank = np.zeros(actions.shape)
    return pad(jnp.asarray(frames), actions, blank, blank.astype(bool), np.ones(actions.shape, bool))


@functools.cache
def jitted_rollout():
    def env_step(state, action, draws):
        world_model = params()["world_model"]
        return imagination.step(
            world_model, AGENT.world_model, state, action, draws.step, draws.start, config().world_model_env
        )

    return jax.jit(lambda state, draws: rollout(params()["actor_critic"], AGENT.actor_critic, env_step, state, draws))


@functools.cache
def jitted_actor_critic_gradients():
    network, loss = AGENT.actor_critic, config().actor_critic.loss
    return jax.jit(lambda p, trajectory, lstm: actor_critic_gradients(p, network, trajectory, lstm, loss, None))


def begin() -> RolloutState:
    arrays = load("imagination")
    start = _real(channels_last(arrays["it0_start0_obs"]), arrays["it0_start0_act"])
    env = imagination.reset(params()["world_model"], AGENT.world_model, start)
    return RolloutState(env.frames[:, -1], AGENT.actor_critic.init_state(4), env)


def assert_frames(actual: jax.Array, expected: np.ndarray) -> None:
    """Equal but for values on the edge between two levels."""
    levels = np.abs(np.asarray(actual) - expected) * 255 / 2
    assert levels.max() < 1.01 and (levels > 1e-2).mean() < 1e-2


def test_two_actor_critic_updates_in_imagination() -> None:
    arrays, state = load("imagination"), begin()
    for k in range(2):
        dead = arrays[f"it{k}_dead"].astype(bool)
        step = StepDraws(
            one_hot_noise(arrays[f"it{k}_draw_rew_class"], 3),
            one_hot_noise(arrays[f"it{k}_draw_end"], 2),
            channels_last(arrays[f"it{k}_x_init"]),
            None,
        )
        draws = ImaginationDraws(step, starts(arrays, k, dead, first=1 if k == 0 else 0))
        lstm = state.lstm
        state, trajectory = jitted_rollout()(state, PolicyDraws(one_hot_noise(arrays[f"it{k}_draw_act"], 5), draws))
        recorded_steps = {
            name: arrays[f"it{k}_{name}"].swapaxes(0, 1) for name in ("obs", "act", "rew", "end", "trunc")
        }
        assert_frames(trajectory.obs, channels_last(recorded_steps["obs"]))
        assert np.array_equal(trajectory.actions, recorded_steps["act"])
        assert np.array_equal(trajectory.rewards, recorded_steps["rew"])
        assert np.array_equal(trajectory.ends, recorded_steps["end"])
        assert np.array_equal(trajectory.truncs, recorded_steps["trunc"])
        assert np.array_equal(trajectory.dead, dead)
        assert_close(trajectory.logits, arrays[f"it{k}_logits_act"].swapaxes(0, 1), 2e-3)
        assert_close(trajectory.values, arrays[f"it{k}_val"].swapaxes(0, 1), 2e-3)
        assert_close(trajectory.bootstraps, arrays[f"it{k}_val_bootstrap"].swapaxes(0, 1), 2e-3)

        # on the recorded frames, so that no value on an edge between two levels blurs the comparison
        trajectory = trajectory._replace(
            obs=channels_last(recorded_steps["obs"]), bootstraps=arrays[f"it{k}_val_bootstrap"].swapaxes(0, 1)
        )
        grads, metrics = jitted_actor_critic_gradients()(params()["actor_critic"], trajectory, lstm)
        for name in ("loss_actions", "loss_values", "loss_entropy", "loss_total", "policy_entropy"):
            assert_close(metrics[name], arrays[f"it{k}_metric_{name}"], 2e-5)
        by_name = reference_layout(params()["world_model"], grads)
        for name, norm in recorded(arrays, f"it{k}_grad_l2/"):
            assert_close(np.linalg.norm(by_name[f"actor_critic.{name}"]), norm, 1e-3)
        for name, grad in recorded(arrays, f"it{k}_grad/"):
            assert_close(by_name[f"actor_critic.{name}"], grad, 1e-3)

        assert_frames(state.env.frames, channels_last(arrays[f"it{k}_obs_buffer"]))
        assert np.array_equal(state.env.age, arrays[f"it{k}_ep_len"])
        for i, cache in enumerate(state.env.caches):
            assert_close(cache.s, arrays[f"it{k}_cache{i}_h"], 2e-3)
            assert_close(cache.conv, arrays[f"it{k}_cache{i}_conv"].transpose(0, 2, 1), 2e-3)
        assert_frames(state.obs, state.env.frames[:, -1])
