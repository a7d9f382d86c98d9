"""What the world model is tested on, with one that follows a known rule."""

import dataclasses

import jax
import numpy as np
import pytest

from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config, pour
from edeline_jax.evaluation.world_model import world_model_test
from edeline_jax.learning.setup import make_setup
from edeline_jax.replay.buffer import Replay, init_replay
from tests.tiny_config import get_config
from tests.world_model.rules import Rule, RuleModel, level, show_action

STEPS = 40  # of each episode


def config(**sample_weights: tuple[float, ...]) -> Config:
    """Small frames, one segment in a batch; other `sample_weights` for the networks that are named."""
    values = get_config()
    values.world_model.training.batch_size = 1
    for network, weights in sample_weights.items():
        values[network].training.sample_weights = weights
    plain = pour(values)
    return dataclasses.replace(plain, env=dataclasses.replace(plain.env, size=4))


def replay(actions: np.ndarray) -> Replay:
    """Eight episodes of actions [8, STEPS], whose frames show the action before; the first one shows a 0."""
    before = np.concatenate([np.zeros((8, 1), int), actions[:, :-1]], 1)
    frames = np.broadcast_to(level(before)[..., None], (8, STEPS, 48)).astype(np.uint8)
    rows = np.array([[(i, 0, STEPS, 0) for i in range(8)]], np.int32)
    return init_replay(8, STEPS, 48)._replace(
        frames=frames, actions=actions.astype(np.int32), episodes=rows, num_episodes=np.array([8], np.int32)
    )


def losses(
    rule: Rule, num_batches: int, actions: np.ndarray, on: Replay | None = None, **sample_weights: tuple[float, ...]
) -> dict[str, np.ndarray]:
    params = {"world_model": {"params": {"harmony_s1": np.float32(0.5), "harmony_s2": np.float32(-0.5)}}}
    c = config(**sample_weights)
    setup = make_setup(Agent(RuleModel(c.agent, rule), None), c)
    return jax.device_get(world_model_test(params, on or replay(actions), jax.random.key(0), setup, num_batches))


def test_games_on_the_host_and_on_the_device_are_tested_alike() -> None:
    """Those of the other tests are on the host, where a replay of NumPy arrays is."""
    actions = np.random.default_rng(1).integers(0, 3, (8, STEPS))
    kept = jax.tree.map(jax.numpy.asarray, replay(actions))
    got, expected = losses(show_action, 2, actions), losses(show_action, 2, actions, on=kept)
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def show_zero(context: jax.Array, h: jax.Array) -> jax.Array:
    """Right in the episodes of action 0; 200 levels too dark in the others."""
    return show_action(context, 0 * h)


def test_a_model_that_knows_the_rule() -> None:
    got = losses(show_action, 3, np.random.default_rng(0).integers(0, 3, (8, STEPS)))
    assert got["pixel_error_repeat_last"] > 20
    assert got["pixel_error"] < 0.01 and got["loss_denoising"] < 1e-3
    # rewards and ends stay undecided between 3 and 2 classes, and no class but the first is ever predicted
    assert got["loss_rew"] == pytest.approx(np.log(3)) and got["loss_end"] == pytest.approx(np.log(2))
    s1, s2 = 0.5, -0.5
    terms = np.log(3) * np.exp(-s1) + np.log(2) + np.log1p(np.exp(s1)) + np.log1p(np.exp(s2))
    assert got["loss_world_model"] == pytest.approx(terms, abs=2e-3)
    assert got["confusion_rew"][1, 0] == got["confusion_rew"].sum() == got["confusion_end"][0, 0]


def test_means_are_those_over_all_batches() -> None:
    """Every batch is a single segment: its error is 0 or 200 levels, so the mean counts the wrong ones."""
    one_action_throughout = np.repeat(np.array([0, 2] * 4)[:, None], STEPS, 1)
    wrong = losses(show_zero, 64, one_action_throughout)["pixel_error"] / 200 * 64
    assert wrong == pytest.approx(np.round(wrong), abs=0.05) and 16 < wrong < 48


def test_episodes_are_drawn_with_the_weights_of_the_world_model() -> None:
    """The older four episodes are predicted right, the newer four wrong, segments and pixels alike."""
    actions = np.repeat(np.array([0] * 4 + [2] * 4)[:, None], STEPS, 1)
    older = losses(show_zero, 16, actions, world_model=(1.0, 0.0), actor_critic=(0.0, 1.0))
    assert older["pixel_error"] < 0.01 and older["loss_denoising"] < 1e-3
    newer = losses(show_zero, 16, actions, world_model=(0.0, 1.0), actor_critic=(1.0, 0.0))
    assert newer["pixel_error"] > 100 and newer["loss_denoising"] > 0.01
