"""Resizing by area: a pixel of the result is the mean of what it covers."""

import functools
import math

import numpy as np


@functools.cache
def weights(source: int, target: int) -> np.ndarray:
    """The matrix that resizes a line of pixels, int64 [target, source].

    Row i says how much of each pixel lies in the i-th of `target` equal parts of the line, in the largest unit that
    makes all of it whole; every row has the same sum.
    """
    pixels, parts = np.arange(source) * target, np.arange(target)[:, None] * source  # their left ends, over one line
    overlap = np.minimum(pixels + target, parts + source) - np.maximum(pixels, parts)
    return np.maximum(overlap, 0) // math.gcd(source, target)


def rounded(sums: np.ndarray, unit: int) -> np.ndarray:
    """The nearest whole number of sums in `unit`s, halves upwards; uint8."""
    return ((sums + unit // 2) // unit).astype(np.uint8)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """An image, uint8 [H,W,C], as `size` x `size` pixels.

    Where it shrinks this is OpenCV's INTER_AREA to the bit, but for halves, which that rounds to either side.
    """
    lines = _resized(image, size)
    sums = _resized(lines.swapaxes(0, 1), size).swapaxes(0, 1)
    return rounded(sums, int(weights(image.shape[0], size)[0].sum() * weights(image.shape[1], size)[0].sum()))


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    """The weighted sums along the first axis, int64 [size,W,C]."""
    return sum(weight[:, None, None] * image[pixel] for pixel, weight in _taps(len(image), size))


@functools.cache
def _taps(source: int, target: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For the first, second, ... pixel that a part covers: its place and its weight, [target] each.

    A loop over these is faster than a product with the matrix, which is nearly empty.
    """
    matrix = weights(source, target)
    first, parts = (matrix > 0).argmax(1), np.arange(target)
    places = [np.minimum(first + k, source - 1) for k in range((matrix > 0).sum(1).max())]
    return [(place, np.where(first + k < source, matrix[parts, place], 0)) for k, place in enumerate(places)]


def letterbox(image: np.ndarray) -> np.ndarray:
    """An image [H,W,C] in the middle of a black square."""
    height, width, _ = image.shape
    side = max(height, width)
    above, left = (side - height) // 2, (side - width) // 2
    return np.pad(image, ((above, side - height - above), (left, side - width - left), (0, 0)))
