"""How good the world model is against the horizon: pixel errors, rewards, ends, and how far its probabilities hold.

A start counts for a horizon only as long as its real episode goes on. Pixel errors are in levels of 0..255. A reward is
one whose sign differs from the commonest; a reward or an end is predicted where its probability is above one half.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from edeline_jax.evaluation.open_loop import NUM_STARTS, STEPS, Steps, open_loop
from edeline_jax.evaluation.starts import longest
from edeline_jax.learning.scalars import scores
from edeline_jax.learning.setup import Setup
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.reward import RewardHead

HORIZONS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
NUM_BINS = 10  # of predicted probabilities, all of one width


class Course(NamedTuple):
    """Open loop from B starts, H steps each; float64 and bool arrays [B, H]."""

    absolute: np.ndarray  # mean absolute pixel error
    square: np.ndarray  # mean squared pixel error
    absolute_repeat: np.ndarray  # of repeating the last real frame
    square_repeat: np.ndarray
    there: np.ndarray  # whether the episode has the frame
    taken: np.ndarray  # whether the episode has the action that leads to it
    signs: np.ndarray  # of the reward of this action
    ends: np.ndarray  # whether it ended the episode
    reward_probabilities: np.ndarray  # [B, H, 3], of the signs -1, 0 and 1
    end_probabilities: np.ndarray


def measure_horizon(params: Params, replay: Replay, key: jax.Array, setup: Setup) -> dict[str, Any]:
    """See `summarize_course`.

    It takes `NUM_STARTS` imagined environments as many steps as the longest episode has, at most the last of
    `HORIZONS`: 13 s for 272 steps of tiny Breakout on a CPU. At the paper's size 1,000 steps are 150 TFLOP, as much as
    16 updates of the actor-critic.

    Args:
      params: of the world model, on one device.
      replay: one device's, best of what the world model was not trained on; some episode has more than L frames.
      key: consumed.
    """
    starts = longest(replay, setup.context, NUM_STARTS)
    context, blocks = open_loop(params, replay, starts, key, setup)
    num_steps = min(HORIZONS[-1], int((starts.length - starts.t).max()) - setup.context + 1)
    last, reward = context[:, -1:], setup.agent.world_model.reward
    parts = [_course(last, next(blocks), reward) for _ in range(-(-num_steps // STEPS))]
    return summarize_course(Course(*(np.concatenate(x, 1) for x in zip(*parts, strict=True))))


def summarize_course(course: Course) -> dict[str, Any]:
    """The figures of `horizon` and `calibration` in `dream.json`.

    Pixel errors are those of the frame at each horizon, over all starts that reach it: `pixel_error` is the root mean
    square, `pixel_error_absolute` the mean. Rewards and ends are those of the actions in the frames since the horizon
    before, at the first horizon also of the action in the last real frame; those of the calibration are all.
    """
    steps = [n for n in HORIZONS if n <= course.there.shape[1] and course.there[:, n - 1].any()]
    signs = course.signs[course.taken].astype(int) + 1
    commonest = int(np.bincount(signs, minlength=3).argmax())
    happened = {"reward": course.signs + 1 != commonest, "end": course.ends}
    predicted = {
        "reward": 1 - course.reward_probabilities[..., commonest],
        "end": course.end_probabilities,
    }
    horizon: dict[str, list] = {"steps": steps, "num_starts": [int(course.there[:, n - 1].sum()) for n in steps]}
    for name, values, root in (
        ("pixel_error", course.square, True),
        ("pixel_error_repeat", course.square_repeat, True),
        ("pixel_error_absolute", course.absolute, False),
        ("pixel_error_absolute_repeat", course.absolute_repeat, False),
    ):
        means = [float(values[course.there[:, n - 1], n - 1].mean()) for n in steps]
        horizon[name] = [mean**0.5 for mean in means] if root else means
    for event in happened:
        # one further: the reward and end of the action in frame n are column n, behind that frame
        spans = [slice(first, n + 1) for first, n in zip([0, *(n + 1 for n in steps[:-1])], steps, strict=True)]
        quality = [_quality(predicted[event][:, s], happened[event][:, s], course.taken[:, s]) for s in spans]
        for figure in ("happened", "precision", "recall", "f1"):
            horizon[f"{event}_{figure}"] = [values.get(figure) for values in quality]
    calibration = {
        event: reliability(predicted[event][course.taken], happened[event][course.taken])
        | _quality(predicted[event], happened[event], course.taken)
        for event in happened
    }
    return {"horizon": horizon, "calibration": calibration}


def reliability(predicted: np.ndarray, happened: np.ndarray) -> dict[str, list]:
    """How often it happened at each predicted probability.

    Args:
      predicted: probabilities, [N].
      happened: bool [N].

    Returns:
      For each of `NUM_BINS` bins of predicted probability their mean ("predicted"), the share in which it happened
      ("observed"), both None in an empty bin, and their number ("count").
    """
    index = np.minimum((predicted * NUM_BINS).astype(int), NUM_BINS - 1)
    bins = [index == i for i in range(NUM_BINS)]
    return {
        "predicted": [float(predicted[each].mean()) if each.any() else None for each in bins],
        "observed": [float(happened[each].mean()) if each.any() else None for each in bins],
        "count": [int(each.sum()) for each in bins],
    }


def _quality(predicted: np.ndarray, happened: np.ndarray, counted: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 over what counts, as far as they exist, and how often it happened."""
    said, was = predicted[counted] > 0.5, happened[counted]
    return {"happened": int(was.sum()), **scores(int((said & was).sum()), int(said.sum()), int(was.sum()))}


def _course(last: np.ndarray, steps: Steps, reward: RewardHead) -> Course:
    """The course over a few steps.

    Args:
      last: the last real frame, uint8 [B, 1, H, W, 3].
      reward: the head whose signs were foreseen.
    """

    def means(guess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = guess.astype(np.float32) - steps.real
        return np.abs(difference).mean((2, 3, 4)), np.square(difference).mean((2, 3, 4))

    (absolute, square), (absolute_repeat, square_repeat) = means(steps.imagined), means(last)
    return Course(
        absolute,
        square,
        absolute_repeat,
        square_repeat,
        steps.there,
        steps.taken,
        reward.signs(steps.rewards),
        steps.ends,
        steps.reward_probabilities,
        steps.end_probabilities,
    )
