"""Where a dream begins: the last real frames, and the actions between them."""

import io
from typing import NamedTuple

import numpy as np

MOST_SIDE = 4096  # px, of an uploaded picture


class Start(NamedTuple):
    """The last n real frames, oldest first: from L to K + 1, fewer than that if they are all since the game began."""

    frames: np.ndarray  # uint8 [n, H, W, 3]
    actions: np.ndarray  # int32 [n]: those that were taken; the last does not count
    label: str


def still(png: bytes, context: int, size: int, action: int) -> Start:
    """A start that shows one picture L = `context` times, while `action` was taken.

    Args:
      png: of any size; it is resized to `size` x `size`.

    Raises:
      ValueError: it is no PNG, or has more than `MOST_SIDE` pixels a side.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            if max(picture.size) > MOST_SIDE:
                raise ValueError(f"the picture is {picture.width} x {picture.height}, at most {MOST_SIDE} a side")
            whole = picture.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("the picture is no PNG") from error
    frame = np.asarray(whole.resize((size, size), Image.Resampling.BOX))
    return Start(np.stack([frame] * context), np.full(context, action, np.int32), "your picture")
