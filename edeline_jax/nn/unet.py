"""The denoiser's U-Net."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.nn.layers import Downsample, ResBlock, Upsample


class ResBlocks(nn.Module):
    """A sequence of residual blocks, see `ResBlock`.

    Returns the last output and the list of all outputs. With `skips`, each block concatenates its skip to its input.
    """

    features: Sequence[int]
    attention: bool
    cross_attention: bool

    @nn.compact
    def __call__(
        self, x: jax.Array, cond: jax.Array, skips: Sequence[jax.Array] | None = None
    ) -> tuple[jax.Array, list[jax.Array]]:
        outputs = []
        for i, features in enumerate(self.features):
            block = ResBlock(features, self.attention, self.cross_attention, name=f"resblocks_{i}")
            x = block(x, cond, None if skips is None else skips[i])
            outputs.append(x)
        return x, outputs


class UNet(nn.Module):
    """[B, H, W, channels[0]] -> the same shape, given a condition vector [B, K].

    If the downsamplings do not divide height or width, that side is padded with zeros at its end and cropped again.
    """

    channels: Sequence[int]
    depths: Sequence[int]
    attn_depths: Sequence[bool]
    cross_attention: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, cond: jax.Array) -> jax.Array:
        def blocks(features: Sequence[int], attention: bool, name: str) -> ResBlocks:
            return ResBlocks(features, attention, self.cross_attention, name=name)

        levels = len(self.channels)
        height, width = x.shape[1:3]
        multiple = 2 ** (levels - 1)
        x = jnp.pad(x, ((0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)))
        skips = []
        for i, (features, depth) in enumerate(zip(self.channels, self.depths, strict=True)):
            x = x if i == 0 else Downsample(name=f"downsamples_{i}")(x)
            x, outputs = blocks([features] * depth, self.attn_depths[i], f"d_blocks_{i}")(entry := x, cond)
            skips.append([entry, *outputs])
        x, _ = blocks([self.channels[-1]] * 2, True, "mid_blocks")(x, cond)
        for j, i in enumerate(reversed(range(levels))):  # the reference numbers the way up from the bottom
            x = x if j == 0 else Upsample(name=f"upsamples_{j}")(x)
            features = [self.channels[i]] * self.depths[i] + [self.channels[max(0, i - 1)]]
            x, _ = blocks(features, self.attn_depths[i], f"u_blocks_{j}")(x, cond, skips[i][::-1])
        return x[:, :height, :width]
