"""The image encoder of the memory and of the actor-critic."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from edeline_jax.nn.layers import Conv, SmallResBlock, keep_convolutions


class ImageEncoder(nn.Module):
    """[B, H, W, C] -> [B, features]: per level a residual block, then 2x2 max-pooling where `down` says so.

    Features are flattened in the order channels, height, width: the order that the reference's weights expect.
    """

    channels: Sequence[int]
    down: Sequence[bool]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = Conv(self.channels[0], name="conv_in")(x)
        for i, (features, down) in enumerate(zip(self.channels, self.down, strict=True)):
            x = nn.remat(SmallResBlock, policy=keep_convolutions)(features, name=f"blocks_{i}")(x)
            x = nn.max_pool(x, (2, 2), strides=(2, 2)) if down else x
        return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
