"""Errors against the horizon, with world models that follow a known rule, and from known courses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.evaluation.horizon import Course, measure_horizon, reliability, summarize_course
from edeline_jax.replay.buffer import Replay
from tests.evaluation.replays import L, obedient, restless, setup_of
from tests.world_model.rules import Rule, RuleModel, repeat_newest, show_action

pytestmark = pytest.mark.optimized  # in a hurry, each use of a frame rounds in its own way


class Oracle(RuleModel):
    """Knows the rewards and ends of `obedient` steps."""

    def outcome_logits(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        action = h[..., 0].astype(int)
        return 20.0 * jax.nn.one_hot(action, 3), 20.0 * jnp.stack([action < 2, action == 2], -1)


def figures(replay: Replay, rule: Rule, model: type[RuleModel] = RuleModel) -> dict:
    return measure_horizon({}, replay, jax.random.key(0), setup_of(rule, model))


def test_a_model_that_copies_its_context_is_as_good_as_repetition() -> None:
    """A start whose episode ends with step 7 does not count for step 10."""
    horizon = figures(restless([[L + 7, L + 30], [L]]), repeat_newest)["horizon"]
    assert horizon["steps"] == [1, 2, 5, 10, 20] and horizon["num_starts"] == [2, 2, 2, 1, 1]
    assert min(horizon["pixel_error_repeat"][2:]) > 50
    for name in ("pixel_error", "pixel_error_absolute"):
        assert horizon[name] == pytest.approx(horizon[f"{name}_repeat"], abs=0.5)


def test_errors_are_those_of_the_frames_at_the_horizon() -> None:
    """Of two starts that are L + 7 and L + 30 frames long."""
    replay = restless([[L + 7, L + 30]])
    horizon = figures(replay, repeat_newest)["horizon"]
    frames = replay.frames[0].astype(float)
    for n, error, absolute in zip(
        horizon["steps"], horizon["pixel_error_repeat"], horizon["pixel_error_absolute_repeat"], strict=True
    ):
        newest = [L - 1, L + 7 + L - 1][n > 7 :]
        difference = np.stack([frames[place + n] - frames[place] for place in newest])
        assert error == pytest.approx(np.sqrt(np.square(difference).mean()))
        assert absolute == pytest.approx(np.abs(difference).mean())


def test_a_perfect_world_model() -> None:
    """It makes no error, and foresees every reward and end: the last step of each episode."""
    got = figures(obedient([[L + 7, L + 32], [L + 12]]), show_action, Oracle)
    horizon = got["horizon"]
    assert horizon["num_starts"] == [3, 3, 3, 2, 1] and sum(horizon["pixel_error_repeat"]) > 100
    assert max(horizon["pixel_error"]) < 0.01
    assert horizon["end_happened"] == [0, 0, 0, 1, 1]  # after steps 7, 12, and 32, beyond the last horizon
    assert horizon["end_f1"] == horizon["end_precision"] == horizon["end_recall"] == [None, None, None, 1, 1]
    assert set(horizon["reward_f1"]) == {1}
    end = got["calibration"]["end"]
    assert end["count"] == [7 + 12 + 32, *[0] * 8, 3] and end["happened"] == 3
    assert end["observed"] == [0, *[None] * 8, 1] and end["f1"] == got["calibration"]["reward"]["f1"] == 1


def course(num_starts: int, steps: int, **arrays: np.ndarray) -> Course:
    """Nothing goes wrong, and nothing happens, but for the `arrays`."""
    zeros, ones = np.zeros((num_starts, steps)), np.ones((num_starts, steps), bool)
    sure = np.broadcast_to(np.array([0.0, 1.0, 0.0]), (num_starts, steps, 3))
    return Course(zeros, zeros, zeros, zeros, ones, ones, zeros, ~ones, sure, zeros)._replace(**arrays)


def test_means_are_over_the_starts_that_are_left() -> None:
    square = np.array([[4.0, 9.0, 0.0], [16.0, 25.0, 0.0], [100.0, 0.0, 0.0]])
    there = np.array([[True, True, False], [True, True, False], [True, False, False]])
    horizon = summarize_course(course(3, 3, square=square, absolute_repeat=square, there=there))["horizon"]
    assert horizon["steps"] == [1, 2] and horizon["num_starts"] == [3, 2]
    assert horizon["pixel_error"] == pytest.approx([40**0.5, 17**0.5]) and horizon["pixel_error_repeat"] == [0, 0]
    assert horizon["pixel_error_absolute_repeat"] == [40, 17]


def test_precision_and_recall_are_those_since_the_horizon_before() -> None:
    """Columns are the actions in the last real frame and in those of steps 1, 2, ...; horizons 1, 2, 5."""
    ends = np.array([[0, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 0]], bool)
    says = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 0, 0, 1, 1]]) * 0.6
    taken = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]], bool)
    got = summarize_course(course(2, 6, ends=ends, end_probabilities=says, taken=taken))
    horizon = got["horizon"]
    assert horizon["steps"] == [1, 2, 5] and horizon["end_happened"] == [1, 2, 1]
    assert horizon["end_precision"] == [1 / 2, 1, 1 / 3]
    assert horizon["end_recall"] == [1, 1 / 2, 1]
    assert horizon["end_f1"] == [2 / 3, 2 / 3, 1 / 2]
    assert horizon["reward_happened"] == [0, 0, 0] and horizon["reward_f1"] == [None] * 3
    end = got["calibration"]["end"]
    assert (end["precision"], end["recall"], end["happened"]) == (3 / 6, 3 / 4, 4)
    assert (end["count"][0], end["count"][6], end["observed"][6]) == (5, 6, 1 / 2)


def test_a_reward_is_what_differs_from_the_commonest() -> None:
    """Here -1: nothing happens only where it is -1."""
    signs = np.array([[-1.0, -1.0, -1.0, 1.0, 0.0]])
    chances = np.array(
        [[[0.95, 0.05, 0.0], [0.25, 0.25, 0.5], [0.65, 0.15, 0.2], [0.35, 0.35, 0.3], [0.75, 0.2, 0.05]]]
    )
    got = summarize_course(course(1, 5, signs=signs, reward_probabilities=chances))["calibration"]["reward"]
    assert (got["happened"], got["precision"], got["recall"], got["f1"]) == (2, 1 / 2, 1 / 2, 1 / 2)
    assert got["count"] == [1, 0, 1, 1, 0, 0, 1, 1, 0, 0]


def test_the_table_of_reliability() -> None:
    """Bins hold their lower edge, the last one also 1."""
    predicted = np.array([0.0, 0.05, 0.1, 0.55, 0.59, 0.95, 1.0])
    happened = np.array([0, 1, 0, 1, 1, 1, 0], bool)
    table = reliability(predicted, happened)
    assert table["count"] == [2, 1, 0, 0, 0, 2, 0, 0, 0, 2]
    nothing = [None] * 3
    assert table["observed"] == [1 / 2, 0, *nothing, 1, *nothing, 1 / 2]
    assert [x for x in table["predicted"] if x is not None] == pytest.approx([0.025, 0.1, 0.57, 0.975])
