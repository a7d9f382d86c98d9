"""The denoiser: a U-Net with EDM's preconditioning, conditioned on past frames and on the memory's h."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.config.schema import DenoiserConfig, InnerModelConfig
from edeline_jax.nn.initializers import zeros
from edeline_jax.nn.layers import Conv, FourierFeatures, GroupNorm, Linear
from edeline_jax.nn.unet import UNet
from edeline_jax.world_model.edm import conditioners


class InnerModel(nn.Module):
    """The network F_theta: scaled frames, c_noise and h -> F, [B, H, W, C]."""

    config: InnerModelConfig
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, context: jax.Array, noisy: jax.Array, c_noise: jax.Array, h: jax.Array) -> jax.Array:
        c = self.config
        cond = FourierFeatures(c.cond_channels, name="noise_emb")(c_noise).astype(self.dtype)
        cond += Linear(c.cond_channels, name="embedding_proj")(h.astype(self.dtype))
        cond = Linear(c.cond_channels, name="cond_proj_0")(cond)
        cond = Linear(c.cond_channels, name="cond_proj_2")(nn.silu(cond))
        x = jnp.concatenate([*jnp.unstack(context, axis=1), noisy], -1).astype(self.dtype)
        x = Conv(c.channels[0], name="conv_in")(x)
        x = UNet(c.channels, c.depths, c.attn_depths, name="unet")(x, cond)
        x = nn.silu(GroupNorm(name="norm_out")(x))
        return Conv(noisy.shape[-1], kernel_init=zeros, name="conv_out")(x).astype(jnp.float32)


class Denoiser(nn.Module):
    """EDM denoiser D(noisy; sigma) = c_skip noisy + c_out F (EDELINE, eq. 6; the action reaches it only through h)."""

    config: DenoiserConfig
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, context: jax.Array, noisy: jax.Array, sigma: jax.Array, h: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Denoises one frame.

        Args:
          context: the last L frames, oldest first, float32 [B, L, H, W, C] in [-1, 1].
          noisy: float32 [B, H, W, C].
          sigma: [B].
          h: the memory's embedding, [B, D].

        Returns:
          F and the denoised frame, float32 [B, H, W, C]; neither clamped nor quantised.
        """
        c, (B, *frame) = self.config, noisy.shape
        chex.assert_shape([context, sigma], [(B, None, *frame), (B,)], custom_message="context, sigma")
        chex.assert_shape(h, (B, None), custom_message="h")
        scale = conditioners(sigma[:, None, None, None], c.sigma_data, c.sigma_offset_noise)
        inner = InnerModel(c.inner_model, self.dtype, name="inner_model")
        F = inner(context / c.sigma_data, scale.c_in * noisy, scale.c_noise[:, 0, 0, 0], h)
        return F, scale.c_skip * noisy + scale.c_out * F
