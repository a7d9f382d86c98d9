"""world_model_loss.npz, world_model_updates.npz and imagination.npz, through the update programs themselves.

Recorded draws stand in for the programs' own; nothing else is replaced.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.actor_critic.rollout import PolicyDraws, RolloutState, Trajectory
from edeline_jax.agent import reference
from edeline_jax.agent.networks import build_agent
from edeline_jax.envs.outcome import Outcome
from edeline_jax.learning import updates
from edeline_jax.learning.optimizer import decay_mask, make_optimizer
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import Learner, TrainState, empty_rollout
from edeline_jax.replay.segment import Segment, pad
from edeline_jax.world_model import imagination
from edeline_jax.world_model.imagination import ImaginationState, StepDraws
from edeline_jax.world_model.loss import LossDraws
from tests.adamw import adamw
from tests.emitters import AS_IN_A_RUN
from tests.golden_data import assert_close, channels_last, config, load, params
from tests.learning.states import assert_same

pytestmark = pytest.mark.optimized
AGENT = build_agent(config(), 5)
DEAD = ("cross_attn.q_proj", "cross_attn.k_proj")


def batch(arrays: dict, prefix: str) -> Segment:
    frames, actions, rewards, ends, mask = (arrays[prefix + key] for key in ("obs", "act", "rew", "end", "mask"))
    return pad(jnp.asarray(channels_last(frames)), actions, rewards, ends.astype(bool), mask)


def loss_draws(arrays: dict, prefix: str) -> LossDraws:
    offset, noise = (channels_last(arrays[f"{prefix}draw_{key}"]) for key in ("offset_noise", "noise"))
    return LossDraws(jnp.asarray(arrays[f"{prefix}draw_start"][0]), arrays[f"{prefix}draw_sigma"], offset, noise)


def reference_layout(world_model: dict, actor_critic: dict | None = None) -> dict[str, np.ndarray]:
    """Trees of our parameters' shape, under the reference's names."""
    tree = {"world_model": world_model, "actor_critic": actor_critic or params()["actor_critic"]}
    return reference.to_torch(tree, config())


def recorded(arrays: dict, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in arrays.items():
        if name.startswith(prefix) and not any(dead in name for dead in DEAD):
            yield name.removeprefix(prefix), value


def harmonized_params() -> dict:
    """Harmonizers at 0.3 and -0.4, as recorded."""
    inner = {**params()["world_model"]["params"], "harmony_s1": np.float32(0.3), "harmony_s2": np.float32(-0.4)}
    return {"params": inner}


def state(world_model: dict | None = None, batch_number: int = 0, warm_up: int = 0) -> TrainState:
    """The recorded agent, whose world model learns from batch `batch_number` next; warm-ups stand at `warm_up`."""

    def learner(params: dict, c, number: int = 0) -> Learner:
        clip, adam, decay, schedule = make_optimizer(c.optimizer).init(params)
        warm = schedule._replace(count=jnp.asarray(warm_up))
        return Learner(params, (clip, adam, decay, warm), jnp.asarray(number))

    return TrainState(
        learner(world_model or params()["world_model"], config().world_model, batch_number),
        learner(params()["actor_critic"], config().actor_critic),
        empty_rollout(make_setup(AGENT, imagination_config())),
        jax.random.key(0),
    )


@functools.cache
def world_model_program(form: str) -> Callable:
    """`train_world_model`: (state, int32) -> (state, metrics and gradients).

    Update 0 learns from the batch of world_model_loss.npz, updates 1 to 3 from those of world_model_updates.npz.
    """
    places = [(load("world_model_loss"), ""), *((load("world_model_updates"), f"step{i}_") for i in range(3))]
    batches = jax.tree.map(lambda *x: jnp.stack(x), *[(batch(*place), loss_draws(*place)) for place in places])
    world_model_gradients = updates.world_model_gradients

    def with_gradients(*args) -> tuple[dict, dict]:
        grads, metrics = world_model_gradients(*args)
        return grads, {**metrics, "gradients": grads}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(updates, "world_model_batch", lambda key, replay, n, *_: jax.tree.map(lambda x: x[n], batches))
        patch.setattr(updates, "world_model_gradients", with_gradients)
        return compiled(
            lambda state, n: updates.train_world_model(state, None, n, make_setup(AGENT, config())), state()
        )


def compiled(program: Callable, *args) -> Callable:
    """Traced at once, since what it calls is replaced only now."""
    return jax.jit(program).lower(*args, np.int32(1)).compile(AS_IN_A_RUN)


def test_world_model_loss(form: str) -> None:
    arrays = load("world_model_loss")
    metrics = world_model_program(form)(state(world_model=harmonized_params()), np.int32(1))[1]
    grads = metrics["gradients"]
    assert_close(metrics["loss_world_model"], arrays["loss"], 1e-5)
    for name in ("loss_world_model", "loss_end", "harmony_s1", "harmony_s2"):
        assert_close(metrics[name], arrays[f"metric_{name}"], 1e-5)
    # the reference reports these two after their harmonizer, and its other metrics are functions of s1 and s2
    assert_close(metrics["harmonized_rew"], arrays["metric_loss_rew"], 1e-5)
    assert_close(metrics["harmonized_denoising"], arrays["metric_loss_denoising"], 1e-5)
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
    assert_close(metrics["grad_norm"], arrays["grad_norm"], 1e-4)


def test_three_world_model_updates(form: str) -> None:
    arrays, before = load("world_model_updates"), state(batch_number=1, warm_up=50)
    after, metrics = world_model_program(form)(before, np.int32(3))
    assert metrics["num_updates"] == 3 and after.world_model.updates == 4
    assert_close(metrics["loss_world_model"], np.mean([arrays[f"step{i}_loss"] for i in range(3)]), 1e-5)
    assert_close(metrics["grad_norm"], np.mean([arrays[f"step{i}_grad_norm"] for i in range(3)]), 1e-3)
    assert_same(after._replace(world_model=before.world_model), before)

    start, end = reference_layout(before.world_model.params), reference_layout(after.world_model.params)
    for name, norm in recorded(arrays, "delta_l2/"):
        delta = end[f"world_model.{name}"] - start[f"world_model.{name}"]
        assert_close(np.linalg.norm(delta), norm, 1e-2)
    for name, value in recorded(arrays, "param/"):
        assert_close(end[f"world_model.{name}"], value, 1e-4)

    one_by_one = before
    for i in range(3):
        one_by_one, metrics = world_model_program(form)(one_by_one, np.int32(1))
        assert_close(metrics["loss_world_model"], arrays[f"step{i}_loss"], 1e-5)
        assert_close(metrics["grad_norm"], arrays[f"step{i}_grad_norm"], 1e-3)
    assert_same(one_by_one, after)


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


def test_the_actor_critic_decays_in_its_weights_but_not_in_norms_and_biases() -> None:
    tree = params()["actor_critic"]
    mask = jax.tree.map(lambda p, m: np.full(np.shape(p), m, np.float32), tree, decay_mask(tree))
    for name, m in actor_critic_layout(mask).items():
        assert np.all(m == (name.split(".")[-1].startswith("weight") and ".norm." not in name)), name


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
def imagination_config():
    """The recorded batch of 4 environments, and a learning rate that moves the weights visibly in one update."""
    c = config().actor_critic
    training = dataclasses.replace(c.training, batch_size=4)
    optimizer = dataclasses.replace(c.optimizer, lr=0.1)
    return dataclasses.replace(config(), actor_critic=dataclasses.replace(c, training=training, optimizer=optimizer))


def steps(k: int, name: str) -> np.ndarray:
    """What was recorded for every step of rollout k, [T, B, ...], frames channels last."""
    x = load("imagination")[f"it{k}_{name}"].swapaxes(0, 1)
    return channels_last(x) if x.ndim == 5 else x


def first_start() -> Segment:
    arrays = load("imagination")
    return _real(channels_last(arrays["it0_start0_obs"]), arrays["it0_start0_act"])


def recorded_draws(k: int) -> tuple[np.ndarray, tuple[StepDraws, np.ndarray], Segment]:
    """Of rollout k: noise of the actions; draws of the steps and the frames in which they were taken; starts."""
    arrays = load("imagination")
    rewards, ends = (one_hot_noise(arrays[f"it{k}_draw_{name}"], n) for name, n in (("rew_class", 3), ("end", 2)))
    draws = StepDraws(rewards, ends, channels_last(arrays[f"it{k}_x_init"]), None)
    dead = arrays[f"it{k}_dead"].astype(bool)
    fresh = starts(arrays, k, dead, first=1 if k == 0 else 0)
    return one_hot_noise(arrays[f"it{k}_draw_act"], 5), (draws, steps(k, "obs")), fresh


@functools.cache
def actor_critic_program(form: str) -> Callable:
    """`train_actor_critic` on recorded draws: (state, from the record, int32) -> (state, metrics and trajectory).

    "From the record" makes every imagined step begin at the recorded frame, which may differ from our own by a level.
    The gradients are always those on the recorded frames and bootstraps. Keys hold the number of the update.
    """
    gumbel, env, fresh = jax.tree.map(lambda *x: jnp.stack(x), *map(recorded_draws, range(2)))
    frames, bootstraps = (jnp.stack([steps(k, name) for k in range(2)]) for name in ("obs", "val_bootstrap"))
    step, imagine, actor_critic_gradients = imagination.step, updates.imagine, updates.actor_critic_gradients

    def numbered_keys(key: jax.Array, stream: int, update: jax.Array, *_) -> tuple[jax.Array, jax.Array]:
        return key, jax.random.wrap_key_data(jnp.stack([0, update]).astype(jnp.uint32))

    def number(key: jax.Array) -> jax.Array:
        return jax.random.key_data(key)[1]

    def draw_rollout(key: jax.Array, *_) -> PolicyDraws:
        T = gumbel.shape[1]
        return PolicyDraws(gumbel[number(key)], (jnp.full(T, number(key)), jnp.arange(T)))

    def draw_env_step(place: tuple, from_record: jax.Array, *_) -> tuple[tuple, Segment]:
        draws, start = jax.tree.map(lambda x: x[place], (env, fresh))
        return (*draws, from_record), start

    def step_from(
        weights, model, state: ImaginationState, action, draws: tuple, *args
    ) -> tuple[ImaginationState, Outcome]:
        draws, frame, from_record = draws
        newest = jnp.where(from_record, frame, state.frames[:, -1])
        state = state._replace(frames=state.frames.at[:, -1].set(newest))
        return step(weights, model, state, action, draws, *args)

    def imagine_both(weights, world_model, restarts, begin, key: jax.Array, *args) -> tuple[RolloutState, tuple]:
        end, trajectory = imagine(weights, world_model, restarts, begin, key, *args)
        k = number(key)
        return end, (trajectory, trajectory._replace(obs=frames[k], bootstraps=bootstraps[k]))

    def gradients(weights, both: tuple, *args) -> tuple[dict, dict]:
        imagined, on_record = both
        grads, metrics = actor_critic_gradients(weights, on_record, *args)
        return grads, {**metrics, "trajectory": imagined}

    with pytest.MonkeyPatch.context() as patch:
        for name, replacement in (
            ("_keys", numbered_keys),
            ("draw_rollout", draw_rollout),
            ("draw_env_step", draw_env_step),
            ("_steps", lambda from_record, *_: jnp.repeat(from_record, 1 + gumbel.shape[1])),  # in place of starts
            ("segments", lambda *_: first_start()),
            ("imagine", imagine_both),
            ("actor_critic_gradients", gradients),
        ):
            patch.setattr(updates, name, replacement)
        patch.setattr(imagination, "step", step_from)
        train = functools.partial(updates.train_actor_critic, setup=make_setup(AGENT, imagination_config()))
        return compiled(train, state(), jnp.asarray(True))


@functools.cache
def two_updates(form: str, from_record: bool) -> list[tuple[TrainState, dict]]:
    """The state and the metrics after each."""
    results = [(state(), {})]
    for _ in range(2):
        results.append(actor_critic_program(form)(results[-1][0], jnp.asarray(from_record), np.int32(1)))
    return results


def assert_rollout(trajectory: Trajectory, k: int, tolerance: float) -> None:
    """All but the frames."""
    names = {"actions": "act", "rewards": "rew", "ends": "end", "truncations": "trunc"}
    for ours, theirs in names.items():
        assert np.array_equal(getattr(trajectory, ours), steps(k, theirs)), ours
    assert np.array_equal(trajectory.dead, load("imagination")[f"it{k}_dead"])
    for ours, theirs in {"logits": "logits_act", "values": "val", "bootstraps": "val_bootstrap"}.items():
        assert_close(getattr(trajectory, ours), steps(k, theirs), tolerance)


def levels(actual: jax.Array, expected: np.ndarray) -> np.ndarray:
    """By how many of 256 levels frames differ."""
    return np.abs(np.asarray(actual) - expected) * 255 / 2


def test_imagined_steps_from_recorded_frames(form: str) -> None:
    """Every step begins where the recorded one did; only values on an edge between two levels may flip."""
    for k, (after, metrics) in enumerate(two_updates(form, from_record=True)[1:]):
        arrays, trajectory = load("imagination"), metrics["trajectory"]
        assert_rollout(trajectory, k, 2e-3)
        env = after.rollout.env
        for ours, theirs in (
            (trajectory.obs, steps(k, "obs")),
            (env.frames, channels_last(arrays[f"it{k}_obs_buffer"])),
            (after.rollout.obs, channels_last(arrays[f"it{k}_obs_buffer"])[:, -1]),
        ):
            difference = levels(ours, theirs)
            assert difference.max() < 1.01 and (difference > 1e-2).mean() < 5e-3
        assert np.array_equal(env.age, arrays[f"it{k}_ep_len"])
        for i, cache in enumerate(env.memory):
            assert_close(cache.s, arrays[f"it{k}_cache{i}_h"], 1e-4)
            assert_close(cache.conv, arrays[f"it{k}_cache{i}_conv"].transpose(0, 2, 1), 1e-4)


def test_whole_rollouts(form: str) -> None:
    """Left alone, a flipped value flips others in the frames that follow, so frames agree only on the whole."""
    results = two_updates(form, from_record=False)
    for k, (after, metrics) in enumerate(results[1:]):
        arrays = load("imagination")
        assert_rollout(metrics["trajectory"], k, 2e-2)
        assert np.array_equal(after.rollout.env.age, arrays[f"it{k}_ep_len"])
        for ours, theirs in (
            (metrics["trajectory"].obs, steps(k, "obs")),
            (after.rollout.env.frames, channels_last(arrays[f"it{k}_obs_buffer"])),
        ):
            difference = levels(ours, theirs)
            assert difference.mean() < 0.2
    at_once = actor_critic_program(form)(state(), jnp.asarray(False), np.int32(2))[0]
    assert_same(at_once, results[2][0])


def test_two_actor_critic_updates(form: str) -> None:
    arrays, results = load("imagination"), two_updates(form, from_record=True)
    for k, ((before, _), (after, metrics)) in enumerate(itertools.pairwise(results)):
        for name in ("loss_actions", "loss_values", "loss_entropy", "loss_total", "policy_entropy"):
            assert_close(metrics[name], arrays[f"it{k}_metric_{name}"], 2e-5)
        norms = dict(recorded(arrays, f"it{k}_grad_l2/"))
        assert_close(metrics["grad_norm"], np.linalg.norm(list(norms.values())), 1e-3)
        moments = [s.actor_critic.opt_state[1].mu for s in (before, after)]
        grads = actor_critic_layout(jax.tree.map(lambda old, new: (new - 0.9 * old) / 0.1, *moments))
        for name, norm in norms.items():
            assert_close(np.linalg.norm(grads[name]), norm, 1e-3)
        for name, grad in recorded(arrays, f"it{k}_grad/"):
            assert_close(grads[name], grad, 1e-3)
        assert after.actor_critic.updates == k + 1
        assert_same(after._replace(actor_critic=before.actor_critic, rollout=before.rollout), before)


def test_actor_critic_weights_after_two_updates(form: str) -> None:
    """They stay in the first, since the warm-up begins at 0, and take Adam's step in the second."""
    before, between, after = (
        actor_critic_layout(s.actor_critic.params) for s, _ in two_updates(form, from_record=True)
    )
    grads = [dict(recorded(load("imagination"), f"it{k}_grad/")) for k in range(2)]
    start = {name: before[name] for name in grads[0]}
    expected, _ = adamw(start, lambda _, n: grads[n], 2, imagination_config().actor_critic.optimizer)
    for name in start:
        assert np.array_equal(between[name], before[name])
        # Adam divides gradients by their size, so of those that are nearly zero it shows nothing but the rounding
        counts = np.minimum(*[np.abs(g[name]) / np.abs(g[name]).max() for g in grads]) > 1e-2
        assert counts.any()
        assert_close((after[name] - before[name]) * counts, (expected[name] - before[name]) * counts, 1e-2)


def actor_critic_layout(tree: dict) -> dict[str, np.ndarray]:
    by_name = reference_layout(params()["world_model"], tree)
    return {name.removeprefix("actor_critic."): x for name, x in by_name.items() if name.startswith("actor_critic.")}


def test_imagination_begins_at_the_newest_frame() -> None:
    model, weights, start = AGENT.world_model, params()["world_model"], first_start()
    setup = make_setup(AGENT, imagination_config())

    @jax.jit(compiler_options=AS_IN_A_RUN)
    def begin(weights: dict, start: Segment) -> tuple[RolloutState, tuple]:
        before = start.frames[:, :3], start.actions[:, :3]
        memory = model.apply(weights, *before, model.init_memory(4), method="embed")[1]
        return updates.begin_imagining(weights, start, setup), memory

    state, memory = begin(weights, start)
    assert np.array_equal(state.obs, start.frames[:, 3]) and np.array_equal(state.env.frames, start.frames)
    assert not any(x.any() for x in (*state.lstm, state.env.age))
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-6), state.env.memory, memory)
