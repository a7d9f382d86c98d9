"""The result of an environment step, real or imagined."""

from typing import Any, NamedTuple

import jax

from edeline_jax.envs.observation import Observation


class Outcome(NamedTuple):
    """The result of a step of B environments, real or imagined.

    obs: the frame to act on next, float32 [B, H, W, C]; after a restart, the newest frame of the new start. An
      `Observation` if the policy sees more than frames; so are the others.
    final_obs: the frame that the action led to; equals obs unless the environment restarted.
    reward: float32 [B]. end, truncation: bool [B].
    burn_in: the frames before obs in a new start, [B, K, H, W, C]; K is 0 for environments that begin at obs.
    burn_in_mask: bool [B, K], false where a frame is none, since the episode is shorter; None: they all count.
    older: None, or a function (a `jax.tree_util.Partial`, since an outcome is a tree): rows, int [k] -> the steps of
      these new starts before those of `burn_in`, with `frames` and `mask`.
    """

    obs: jax.Array | Observation
    final_obs: jax.Array | Observation
    reward: jax.Array
    end: jax.Array
    truncation: jax.Array
    burn_in: jax.Array | Observation
    burn_in_mask: jax.Array | None = None
    older: Any = None
