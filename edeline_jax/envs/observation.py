"""What a policy sees."""

from typing import NamedTuple

import jax


class Observation(NamedTuple):
    """A frame, and what the world model remembers of the steps before it: with `inputs` = frames_and_h.

    h is the newest that there is when the action in the frame, a_t, is chosen: the memory takes in pairs of a frame and
    the action in it, so it has seen o_1 .. o_{t-1} and a_1 .. a_{t-1}. It is the h of which the frame was denoised, if
    it was imagined. At the first step of a sequence, where there is none, it is zeros. o_t itself is in `frames`.
    """

    frames: jax.Array  # [..., H, W, C]
    h: jax.Array  # float32 [..., D]
