"""What a step of any environment returns, real or imagined."""

from typing import NamedTuple

import jax


class Outcome(NamedTuple):
    """What a step of any environment returns, real or imagined.

    obs: the frame to act on next, float32 [B, H, W, C]: where the environment was restarted, the fresh start's newest.
    final_obs: the frame that the action led to; equals obs where nothing was restarted.
    reward: float32 [B]. end, truncation: bool [B].
    burn_in: frames [B, K, H, W, C] that led to obs where it restarted; K is 0 for environments that begin at obs.
    """

    obs: jax.Array
    final_obs: jax.Array
    reward: jax.Array
    end: jax.Array
    truncation: jax.Array
    burn_in: jax.Array
