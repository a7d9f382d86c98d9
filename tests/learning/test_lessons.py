"""What DIAMOND's two networks learn from: which segments, and what stands behind an end."""

import jax
import numpy as np
import pytest
from scipy.stats import chisquare

from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.learning.lessons import teaching
from edeline_jax.learning.setup import Setup, make_setup
from edeline_jax.replay.buffer import Replay, replay_of
from edeline_jax.replay.chunk import Chunk
from edeline_jax.replay.sampling import read
from edeline_jax.world_model.diamond_loss import Lessons
from tests.tiny_config import get_config

STEPS, FRAME = 24, (20, 20, 3)
LIVES, OVER = (4, 15), (9, 19)  # the steps with which a life is lost, or the game


def setup_of(batch_size: int, finals: bool = False) -> Setup:
    values = get_config()
    values.agent.kind = "diamond"
    values.world_model.loss.num_autoregressive_steps = 1
    values.world_model.training.batch_size = batch_size
    config = pour(values)
    return make_setup(build_agent(config, 3), config)._replace(keeps_finals=finals)


def replay(finals: bool = False) -> Replay:
    """One stream, which is still played; all pixels of step t are 10 t, its reward is t; those of a final are 1 more.

    After a lost life the final is the next frame.
    """
    number = np.arange(STEPS)[None]
    ends = np.isin(number, LIVES + OVER)
    starts, game_starts = (np.isin(number - 1, (-1, *steps)) for steps in (LIVES + OVER, OVER))
    frames = np.broadcast_to((10 * number)[..., None, None, None].astype(np.uint8), (1, STEPS, *FRAME))
    never = np.zeros_like(ends)
    chunk = Chunk(frames, number % 3, number.astype(np.float32), ends, never, starts, game_starts)
    led_to = np.where(np.isin(number, LIVES)[..., None, None, None], frames + 10, frames + 1).astype(np.uint8)
    return replay_of(chunk._replace(finals=led_to) if finals else chunk)


def lessons(batch_size: int, finals: bool = False) -> tuple[Lessons, Setup]:
    setup, source = setup_of(batch_size, finals), replay(finals)
    places = teaching(setup).places(source.table, jax.random.key(0), setup)
    steps = Lessons(*(read(source, own) for own in places))
    return jax.device_get(teaching(setup).batch(steps, setup)), setup


@pytest.mark.parametrize("finals", [False, True])
def test_segments_to_denoise_hang_over_the_front_only(finals: bool) -> None:
    """They are those of starts, of L + 1 + P steps; where finals are kept, the last may be one."""
    setup = setup_of(20_000, finals)
    S = setup.context + 2
    places = teaching(setup).places(replay(finals).table, jax.random.key(1), setup).denoising
    mask, newest = np.asarray(places.mask), np.asarray(places.index * places.mask).max(1)
    assert mask.shape == (20_000, S) and mask[:, -2:].any(1).all() and (np.diff(mask[:, :-1].astype(int)) >= 0).all()
    assert mask[:, -1].all() == (not finals)
    first = newest < 5  # of the first episode's 5 steps: stop = min(5 or 6, t + 1 + U{0..S-1})
    stops = np.minimum(5 + finals, np.arange(5)[:, None] + 1 + np.arange(S)).ravel()
    ways = np.bincount(stops, minlength=6 + finals)[1:]
    counts = np.bincount((newest + ~mask[:, -1])[first], minlength=5 + finals)
    assert chisquare(counts, ways / ways.sum() * counts.sum()).pvalue > 1e-4


def test_finals_are_denoised_where_they_are_kept() -> None:
    """As the last frame of a segment, in which nothing was done; and what no end led to counts nowhere."""
    batch, _ = lessons(400, finals=True)
    steps = batch.denoising
    levels = np.rint((steps.frames[..., 0, 0, 0] + 1) / 2 * 255)
    to_final = steps.ends[:, -2]
    assert {int(x) for x in steps.rewards[to_final, -2]} == {*LIVES, *OVER}
    for row in np.flatnonzero(to_final):
        step = int(steps.rewards[row, -2])
        assert steps.mask[row, -1] and not steps.actions[row, -1] and not steps.ends[row, -1]
        assert levels[row, -1] == (10 * (step + 1) if step in LIVES else 10 * step + 1)
    beyond = ~steps.mask[:, -1]
    assert beyond.any() and (steps.rewards[beyond, -2] == STEPS - 1).all()  # that game is still played
    assert not steps.frames[~steps.mask].any()


@pytest.mark.parametrize("finals", [False, True])
def test_behind_an_end_stands_what_it_led_to(finals: bool) -> None:
    """At a game over the last frame once more, as in Atari, or the true final one; the next one at a lost life."""
    batch, setup = lessons(400, finals)
    outcomes, T = batch.outcomes, setup.segment_length
    assert outcomes.mask.shape == (400, T)
    assert (~outcomes.mask[:, 0]).any() and (~outcomes.mask[:, -1]).any()  # they hang over both ends
    levels = np.rint((outcomes.frames[..., 0, 0, 0] + 1) / 2 * 255)
    behind = set()
    for row, t in np.argwhere(outcomes.ends[:, :-1]).tolist():
        step = int(outcomes.rewards[row, t])
        behind.add(step)
        assert not outcomes.mask[row, t + 1 :].any()
        assert levels[row, t + 1] == 10 * (step + 1 if step in LIVES else step) + (finals and step in OVER)
        np.testing.assert_array_equal(outcomes.frames[row, t + 2 :], 0)
    assert behind == {*LIVES, *OVER}
    assert (batch.denoising.frames[~batch.denoising.mask] == 0).all()


def test_the_two_networks_learn_from_segments_of_their_own() -> None:
    batch, _ = lessons(400)
    ages = [(steps.rewards.max(1)[:, None] > np.array(sorted(LIVES + OVER))).sum(1) for steps in batch]
    assert (ages[0] != ages[1]).mean() > 0.2  # of the episodes
