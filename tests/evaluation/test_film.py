"""Films with a world model that follows a known rule."""

import jax
import numpy as np
import pytest

from edeline_jax.evaluation.film import Film, shoot
from edeline_jax.evaluation.open_loop import NUM_STARTS, STEPS
from edeline_jax.evaluation.starts import liveliest
from tests.evaluation.replays import L, obedient, restless, setup_of
from tests.world_model.rules import Rule, level, repeat_newest, show_action

pytestmark = pytest.mark.optimized  # in a hurry, each use of a frame rounds in its own way
LENGTHS = [[30, 7, 25], [12, 44]]


def films(lengths: list[list[int]], rule: Rule) -> tuple[list[Film], list[np.ndarray], list[np.ndarray]]:
    """The films, and for each of the liveliest places the real frames and the actions."""
    replay = restless(lengths)
    places = liveliest(replay, L, L + STEPS, NUM_STARTS)
    real, actions = [], []
    for stream, first, steps, _, t in zip(*places, strict=True):
        window = slice(first + t, first + min(t + L + STEPS, steps))
        real.append(replay.frames[stream, window].reshape(-1, 4, 4, 3))
        actions.append(replay.actions[stream, window])
    return shoot({}, replay, jax.random.key(0), setup_of(rule)), real, actions


def rms(difference: np.ndarray) -> float:
    return float(np.sqrt(np.square(difference).mean()))


def test_films_go_on_from_their_context_by_pixel_error() -> None:
    """As long as their episodes allow."""
    drawn, real, actions = films(LENGTHS, show_action)
    shown = [level(acted[L - 1 : -1])[:, None, None, None] for acted in actions]
    errors = np.array([rms(frames[L:] - grey.astype(float)) for frames, grey in zip(real, shown, strict=True)])
    assert len(drawn) == len(real) == 5 and {len(film.real) for film in drawn} == {7, 12, L + STEPS}
    for film, place in zip(drawn, np.argsort(errors), strict=True):
        assert film.real.dtype == film.imagined.dtype == np.uint8
        np.testing.assert_array_equal(film.real, real[place])
        np.testing.assert_array_equal(film.imagined[:L], film.real[:L])
        assert np.abs(film.imagined[L:] - shown[place]).max() <= 1
        assert film.pixel_error == pytest.approx(errors[place], abs=1)


def test_a_world_that_stands_still() -> None:
    drawn, _, _ = films(LENGTHS, repeat_newest)
    for film in drawn:
        newest = film.real[L - 1].astype(int)
        assert np.abs(film.imagined[L:] - newest).max() <= 1
        assert film.pixel_error == pytest.approx(rms(film.real[L:] - newest), abs=1)
        # a single step of the sampler leads from noise to the frame
        assert len(film.denoising) == 2
        np.testing.assert_array_equal(film.denoising[1], film.imagined[L])
        assert {0, 255} < set(film.denoising[0].ravel()) and 100 < film.denoising[0].mean() < 155


def test_a_perfect_world_model_makes_no_error() -> None:
    drawn = shoot({}, obedient(LENGTHS), jax.random.key(0), setup_of(show_action))
    assert len(drawn) >= 5 and max(film.pixel_error for film in drawn) < 0.01
