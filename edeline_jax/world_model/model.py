"""What imagination asks of a world model."""

from typing import Any

import jax

from edeline_jax.nn.network import Network
from edeline_jax.replay.reward import HEADS, RewardHead

Memory = Any  # a tree of arrays [B, ...]; only the model that made it knows what is in it


class WorldModel(Network):
    """The networks of a world model in one module; the methods but `init_memory` are called with `apply`.

    An imagined step: `see` the newest frame and the action in it, denoise the next frame on the condition that this
    gives, then ask for the `outcome`.

    reward: what the reward's logits mean.
    """

    reward: RewardHead = HEADS["sign"]

    def init_memory(self, batch: int) -> Memory:
        """The memory at the start of a sequence."""
        raise NotImplementedError

    def burn_in(
        self, frames: jax.Array, actions: jax.Array, mask: jax.Array | None = None
    ) -> tuple[jax.Array | None, Memory]:
        """Takes in the steps before the newest frame.

        Args:
          frames: the newest and those before it, oldest first, float32 [B, K, H, W, C] in [-1, 1].
          actions: int [B, K]; the last one is not used.
          mask: bool [B, K], false before the episode's first step: the memory does not move there. None: it moves in
            all steps, also in what padding there may be.

        Returns:
          What a policy may see of the memory, after each of the steps [B, K - 1, D], or None if there is no such thing;
          and the memory in which `see` goes on from the newest frame.
        """
        raise NotImplementedError

    def see(self, memory: Memory, frame: jax.Array, action: jax.Array) -> tuple[jax.Array, Memory]:
        """Takes in a frame [B, H, W, C] and the action in it, int [B].

        Returns:
          What the next frame is denoised on, [B, ...], and the memory.
        """
        raise NotImplementedError

    def denoise(
        self, context: jax.Array, noisy: jax.Array, sigma: jax.Array, condition: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """See `Denoiser`."""
        raise NotImplementedError

    def outcome(
        self, memory: Memory, condition: jax.Array, frame: jax.Array, action: jax.Array, next_frame: jax.Array
    ) -> tuple[jax.Array, jax.Array, Memory]:
        """What comes of an action besides the next frame.

        Args:
          memory, condition: from `see`, of the same frame and action.
          next_frame: float32 [B, H, W, C], what the action led to.

        Returns:
          Logits of the reward, [B, classes], and of the end, [B, 2], and the memory for the next step.
        """
        raise NotImplementedError
