"""The image encoder of the memory and of the actor-critic."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from edeline_jax.nn.layers import Conv, SmallResBlock
from edeline_jax.nn.restart import largest_divisor

PART_BYTES = 320e6  # of one activation at full resolution: keeps a device busy, and a few dozen fit into memory
KEPT_BYTES = 1e9  # the same of all parts: gradients keep eight times as much


class ImageEncoder(nn.Module):
    """[B, H, W, C] -> [B, features]: per level a residual block, with 2x2 max-pooling if the level's `down` is true.

    Features are flattened in the order channels, height, width, which the reference's weights expect.
    """

    channels: Sequence[int]
    down: Sequence[bool]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = Conv(self.channels[0], name="conv_in")(x)
        for i, (features, down) in enumerate(zip(self.channels, self.down, strict=True)):
            x = SmallResBlock(features, down, name=f"blocks_{i}")(x)
        return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


def encode_in_parts(encoder: ImageEncoder, frames: jax.Array) -> jax.Array:
    """`encoder(frames)` for many frames [B, H, W, C], in parts one after the other, to save memory in gradients.

    Of very many frames activations are not kept: the backward pass encodes each part again.
    """
    B, H, W, _ = frames.shape
    bytes_of_one = H * W * encoder.channels[0] * frames.dtype.itemsize
    size = largest_divisor(B, PART_BYTES // bytes_of_one)
    if size == B:
        return encoder(frames)

    def encode(encoder: ImageEncoder, carry: None, part: jax.Array) -> tuple[None, jax.Array]:
        return carry, encoder(part)

    encode = encode if B * bytes_of_one <= KEPT_BYTES else nn.remat(encode, prevent_cse=False)
    scan = nn.scan(encode, variable_broadcast="params", split_rngs={"params": False})
    parts = frames.reshape(B // size, size, *frames.shape[1:])
    return scan(encoder, None, parts)[1].reshape(B, -1)
