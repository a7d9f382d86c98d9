"""The world model's loss beside its definition, on networks that are one line each."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from edeline_jax.config import pour
from edeline_jax.config.schema import AgentConfig
from edeline_jax.replay.reward import BINS, HEADS, RewardHead, two_hot
from edeline_jax.replay.segment import Segment
from edeline_jax.world_model.edm import conditioners
from edeline_jax.world_model.loss import BatchCounts, LossDraws, count_targets, draw_loss, world_model_loss
from tests.tiny_config import get_config

CONFIG = pour(get_config())
LOSS, DENOISER = CONFIG.world_model.loss, CONFIG.agent.denoiser
L, B, T, P, START = CONFIG.context, 4, 9, 3, 2
VALUES = np.random.default_rng(2).normal(size=255)  # the same of a two-hot head
REWARD, END = np.array([1.0, 0.25, -0.5]), np.array([0.5, -0.25])  # logits of h = 1
W, S1, S2 = 0.7, 0.3, -0.4


class ToyModel(NamedTuple):
    """h is the action; F is linear, and large, so that some of what it denoises leaves [-1, 1]."""

    config: AgentConfig
    reward: RewardHead = HEADS["sign"]

    def init_memory(self, batch: int) -> None:
        return None

    def apply(self, params: dict, *inputs: Any, method: str) -> Any:
        return getattr(self, method)(params["params"]["w"], *inputs)

    def embed(self, w: jax.Array, frames: jax.Array, actions: jax.Array, memory: None) -> tuple[jax.Array, None]:
        return actions[..., None].astype(jnp.float32), None

    def outcome_logits(self, w: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = REWARD if self.reward is HEADS["sign"] else VALUES
        return h * logits[None, None], h * END[None, None]

    def denoise(self, w: jax.Array, context: jax.Array, noisy: jax.Array, sigma: jax.Array, h: jax.Array) -> tuple:
        scale = conditioners(sigma[:, None, None, None], DENOISER.sigma_data, DENOISER.sigma_offset_noise)
        F = toy_F(w, context, noisy, h)
        return F, scale.c_skip * noisy + scale.c_out * F


def toy_F(w: Any, context: Any, noisy: Any, h: Any) -> Any:
    return w * (noisy + 2 * context[:, -1] - context[:, 0]) + 0.5 * h[:, :, None, None]


def batch(last_pass_has_targets: bool) -> Segment:
    """Rows that hang over the front and over the end."""
    rng = np.random.default_rng(0)
    first, stop = np.array([[0], [START + L + 1], [0], [0]]), np.array([[T], [T], [START + L + 1], [START + L + 2]])
    mask = (np.arange(T) >= first) & (np.arange(T) < (stop if last_pass_has_targets else START + L + 2))
    frames = rng.uniform(-1, 1, (B, T, 2, 2, 3)).astype(np.float32)
    rewards, ends = rng.integers(-3, 4, (B, T)).astype(np.float32), rng.random((B, T)) < 0.3
    return Segment(frames, rng.integers(0, 3, (B, T)), rewards, ends, mask)


def draws() -> LossDraws:
    rng = np.random.default_rng(1)
    offset, noise = (rng.normal(size=(P, B, *shape)).astype(np.float32) for shape in ((1, 1, 3), (2, 2, 3)))
    return LossDraws(jnp.array(START), rng.uniform(0.2, 2.0, (P, B)).astype(np.float32), offset, noise)


def denoising_loss(x: Segment, w: float, w_before: float) -> float:
    """Frames that pass on to later passes are made with `w_before`."""
    d, losses, context = draws(), [], x.frames[:, START : START + L].astype(float)
    for p in range(P):
        t = START + L + p
        sigma = d.sigma[p].astype(float)[:, None, None, None]
        target = x.frames[:, t]
        noisy = target + DENOISER.sigma_offset_noise * d.offset_noise[p] + sigma * d.noise[p]
        variance = sigma**2 + DENOISER.sigma_offset_noise**2
        c_skip = DENOISER.sigma_data**2 / (variance + DENOISER.sigma_data**2)
        c_out = np.sqrt(variance * c_skip)
        h = x.actions[:, t - 1 : t]
        error = np.square(toy_F(w, context, noisy, h) - (target - c_skip * noisy) / c_out).mean((1, 2, 3))
        if x.mask[:, t].any():
            losses.append(error[x.mask[:, t]].mean())
        denoised = c_skip * noisy + c_out * toy_F(w_before, context, noisy, h)
        assert (np.abs(denoised) > 1).any()
        context = np.concatenate([context[:, 1:], denoised.clip(-1, 1)[:, None]], 1)
    return float(np.mean(losses))


def cross_entropy(x: Segment, logits: np.ndarray, classes: np.ndarray) -> tuple[float, np.ndarray]:
    """Its mean over the steps, and the confusion matrix."""
    confusion, losses = np.zeros((len(logits), len(logits))), []
    for action, true in zip(x.actions[x.mask], classes[x.mask], strict=True):
        probabilities = np.exp(action * logits) / np.exp(action * logits).sum()
        losses.append(-np.log(probabilities[true]))
        confusion[true, probabilities.argmax()] += 1
    return float(np.mean(losses)), confusion


@functools.partial(jax.jit, static_argnums=4)
def loss(
    w: jax.Array, x: Segment, d: LossDraws, counts: BatchCounts, head: RewardHead = HEADS["sign"]
) -> tuple[jax.Array, dict]:
    params = {"params": {"w": w, "harmony_s1": S1, "harmony_s2": S2}}
    return world_model_loss(params, ToyModel(CONFIG.agent, head), x, d, counts, LOSS)


@pytest.mark.parametrize("last_pass_has_targets", [True, False])
def test_the_loss_is_its_definition(last_pass_has_targets: bool) -> None:
    """What is padding does not count, nor does a pass without a target."""
    x = batch(last_pass_has_targets)
    assert x.mask[:, START + L + P - 1].any() == last_pass_has_targets
    total, metrics = loss(W, x, draws(), count_targets(x.mask, draws(), L))
    rewards, confusion_rew = cross_entropy(x, REWARD, np.sign(x.rewards).astype(int) + 1)
    ends, confusion_end = cross_entropy(x, END, x.ends.astype(int))
    denoising = denoising_loss(x, W, W)
    for name, expected in (("rew", rewards), ("end", ends), ("denoising", denoising)):
        assert metrics[f"loss_{name}"] == pytest.approx(expected, rel=1e-4), name
    np.testing.assert_array_equal(metrics["confusion_rew"], confusion_rew)
    np.testing.assert_array_equal(metrics["confusion_end"], confusion_end)
    base = np.log1p(np.exp(S1)) + np.log1p(np.exp(S2))
    assert total == pytest.approx(rewards * np.exp(-S1) + denoising * np.exp(-S2) + ends + base, rel=1e-4)


def test_values_of_rewards_in_place_of_their_signs() -> None:
    """Of a two-hot head: the mean cross-entropy and error over the steps, and how it tells the signs apart."""
    x, head = batch(last_pass_has_targets=True), HEADS["twohot"]
    x = x._replace(rewards=x.rewards * np.float32(0.3))
    _, metrics = loss(W, x, draws(), count_targets(x.mask, draws(), L), head)
    losses, errors, confusion = [], [], np.zeros((3, 3))
    for action, reward in zip(x.actions[x.mask], x.rewards[x.mask], strict=True):
        p = np.exp(action * VALUES) / np.exp(action * VALUES).sum()
        losses.append(-(np.asarray(two_hot(reward)) * np.log(p)).sum())
        errors.append(abs(p @ BINS.astype(float) - reward))
        parts = p[:127].sum(), p[127], p[128:].sum()
        confusion[int(np.sign(reward)) + 1, int(np.argmax(parts))] += 1
    assert metrics["loss_rew"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert metrics["error_rew"] == pytest.approx(np.mean(errors), rel=1e-3)
    np.testing.assert_array_equal(metrics["confusion_rew"], confusion)


def test_the_models_own_frames_have_no_gradient() -> None:
    x = batch(last_pass_has_targets=True)
    counts = count_targets(x.mask, draws(), L)
    gradient = jax.grad(lambda w: loss(w, x, draws(), counts)[1]["loss_denoising"])(W)
    expected = (denoising_loss(x, W + 1e-3, W) - denoising_loss(x, W - 1e-3, W)) / 2e-3
    assert gradient == pytest.approx(expected, rel=1e-3)


def test_the_shares_of_two_devices_add_up_to_the_whole() -> None:
    """Although one has more steps and targets than the other."""
    x, d = batch(last_pass_has_targets=False), draws()
    parts = []
    for rows in (slice(0, 2), slice(2, 4)):
        part = jax.tree.map(lambda leaf, rows=rows: leaf[rows], x)
        parts.append((part, LossDraws(d.start, *(leaf[:, rows] for leaf in d[1:]))))
    counts = jax.tree.map(jnp.add, *(count_targets(part.mask, own, L) for part, own in parts))
    shares = [loss(W, part, own, counts) for part, own in parts]
    whole = loss(W, x, d, count_targets(x.mask, d, L))
    jax.tree.map(
        lambda a, b, sum: np.testing.assert_allclose(a + b, sum, rtol=1e-5),
        *((total, metrics) for total, metrics in shares),
        whole,
    )


def test_every_first_frame_is_drawn_as_often() -> None:
    keys = jax.random.split(jax.random.key(0), 2_000)
    start = jax.vmap(lambda key: draw_loss(key, keys[0], (1, T, 1, 1, 1), L, LOSS).start)(keys)
    ways = T - L - LOSS.num_autoregressive_steps  # targets are 1 + num_autoregressive_steps frames
    assert chisquare(np.bincount(start, minlength=ways)).pvalue > 1e-4 and start.max() == ways - 1
