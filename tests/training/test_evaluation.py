"""What the world model is tested on, with one that follows a known rule."""

import dataclasses

import jax
import numpy as np
import pytest

from edeline_jax.agent import Agent
from edeline_jax.config import Config, pour
from edeline_jax.replay.buffer import Replay, init_replay
from edeline_jax.training.evaluation import world_model_test
from tests.tiny_config import get_config
from tests.world_model.rules import Rule, RuleModel, level, show_action

STEPS = 40  # of each episode


def config(num_batches: int) -> Config:
    """Small frames, one segment in a batch."""
    values = get_config()
    values.evaluation.num_batches = num_batches
    values.world_model.training.batch_size = 1
    plain = pour(values)
    return dataclasses.replace(plain, env=dataclasses.replace(plain.env, size=4))


def replay() -> Replay:
    """Eight episodes, each with one action throughout, 0 or 2, and with frames that show it."""
    actions = np.repeat(np.array([0, 2] * 4, np.int32)[:, None], STEPS, 1)
    frames = np.broadcast_to(level(actions)[..., None], (8, STEPS, 48)).astype(np.uint8)
    rows = np.array([[(i, 0, STEPS) for i in range(8)]], np.int32)
    return init_replay(8, STEPS, 48)._replace(
        frames=frames, actions=actions, episodes=rows, num_episodes=np.array([8], np.int32)
    )


def losses(rule: Rule, num_batches: int) -> dict[str, np.ndarray]:
    params = {"world_model": {"params": {"harmony_s1": np.float32(0.5), "harmony_s2": np.float32(-0.5)}}}
    agent = Agent(RuleModel(config(num_batches).agent, rule), None)
    return jax.device_get(world_model_test(params, replay(), jax.random.key(0), agent, config(num_batches)))


def show_zero(context: jax.Array, h: jax.Array) -> jax.Array:
    """Right in the episodes of action 0; 200 levels too dark in the others."""
    return show_action(context, 0 * h)


def test_a_model_that_knows_the_rule() -> None:
    got = losses(show_action, 3)
    assert got["pixel_error"] < 0.01 and got["loss_denoising"] < 1e-3
    # rewards and ends stay undecided between 3 and 2 classes, and no class but the first is ever predicted
    assert got["loss_rew"] == pytest.approx(np.log(3)) and got["loss_end"] == pytest.approx(np.log(2))
    s1, s2 = 0.5, -0.5
    terms = np.log(3) * np.exp(-s1) + np.log(2) + np.log1p(np.exp(s1)) + np.log1p(np.exp(s2))
    assert got["loss_world_model"] == pytest.approx(terms, abs=2e-3)
    assert got["confusion_rew"][1, 0] == got["confusion_rew"].sum() == got["confusion_end"][0, 0]


def test_means_are_those_over_all_batches() -> None:
    """Every batch is a single segment: its error is 0 or 200 levels, so the mean counts the wrong ones."""
    wrong = losses(show_zero, 64)["pixel_error"] / 200 * 64
    assert wrong == pytest.approx(np.round(wrong), abs=0.05) and 16 < wrong < 48
