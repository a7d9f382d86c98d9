"""Resizing by area, beside OpenCV and by hand."""

import cv2
import numpy as np
import pytest

from edeline_jax.envs.area import letterbox, resize


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(112, 112, 64), (112, 112, 32), (112, 112, 56), (210, 160, 64), (400, 600, 64), (75, 625, 30), (97, 89, 33)],
)
def test_shrinking_is_opencvs_to_the_bit(height: int, width: int, size: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(image, size), cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA))


def test_only_halves_are_rounded_otherwise_than_by_opencv() -> None:
    image = np.random.default_rng(0).integers(0, 256, (150, 600, 3), dtype=np.uint8)
    theirs = cv2.resize(image, (84, 84), interpolation=cv2.INTER_AREA)
    more = resize(image, 84).astype(int) - theirs
    assert set(np.unique(more)) == {0, 1} and more.mean() < 2e-3  # one sum in 1,250 is a half


def test_a_pixel_is_the_mean_of_what_it_covers() -> None:
    """Three pixels become two: each covers one and a half."""
    image = np.array([[[0, 30, 255]], [[90, 60, 255]], [[180, 0, 255]]], np.uint8)
    assert resize(image, 2).tolist() == [[[30, 40, 255]] * 2, [[150, 20, 255]] * 2]
    assert resize(np.array([[[0]], [[1]]], np.uint8), 1).tolist() == [[[1]]]  # a half goes up


def test_growing_repeats_pixels() -> None:
    image = np.random.default_rng(1).integers(0, 256, (5, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(image, 45), image.repeat(9, 0).repeat(5, 1))


def test_a_letterbox_keeps_the_shape_between_black_bars() -> None:
    image = np.full((2, 5, 3), 200, np.uint8)
    boxed = letterbox(image)
    assert boxed.shape == (5, 5, 3)
    assert (boxed[1:3] == 200).all() and not boxed[0].any() and not boxed[3:].any()
    np.testing.assert_array_equal(letterbox(image.swapaxes(0, 1)), boxed.swapaxes(0, 1))
