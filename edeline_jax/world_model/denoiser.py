"""The denoiser: a U-Net with EDM's preconditioning, conditioned on past frames, and on the memory's h or on actions."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.config.schema import DenoiserConfig, InnerModelConfig
from edeline_jax.nn.initializers import standard_normal, zeros
from edeline_jax.nn.layers import Conv, FourierFeatures, GroupNorm, Linear, look_up
from edeline_jax.nn.params import param
from edeline_jax.nn.unet import UNet
from edeline_jax.world_model.edm import conditioners


class InnerModel(nn.Module):
    """The network F_theta: scaled frames, c_noise and a condition -> F, [B, H, W, C]; fields: see `Denoiser`."""

    config: InnerModelConfig
    dtype: jnp.dtype
    num_actions: int

    @nn.compact
    def __call__(self, context: jax.Array, noisy: jax.Array, c_noise: jax.Array, condition: jax.Array) -> jax.Array:
        c, on_actions = self.config, self.num_actions > 0
        cond = FourierFeatures(c.cond_channels, name="noise_emb")(c_noise).astype(self.dtype)
        if on_actions:
            own = c.cond_channels // c.num_steps_conditioning  # channels of each
            table = param(self, "act_emb", standard_normal, (self.num_actions, own))
            cond += look_up(table, condition).reshape(cond.shape).astype(self.dtype)
        else:
            cond += Linear(c.cond_channels, name="embedding_proj")(condition.astype(self.dtype))
        cond = Linear(c.cond_channels, name="cond_proj_0")(cond)
        cond = Linear(c.cond_channels, name="cond_proj_2")(nn.silu(cond))
        past = jnp.unstack(context, axis=1) if c.frame_stack else ()
        x = jnp.concatenate([*past, noisy], -1).astype(self.dtype)
        x = Conv(c.channels[0], name="conv_in")(x)
        attends_to_h = c.cross_attention and not on_actions
        x = UNet(c.channels, c.depths, c.attn_depths, attends_to_h, name="unet")(x, cond)
        x = nn.silu(GroupNorm(name="norm_out")(x))
        return Conv(noisy.shape[-1], kernel_init=zeros, name="conv_out")(x).astype(jnp.float32)


class Denoiser(nn.Module):
    """EDM denoiser D(noisy; sigma) = c_skip noisy + c_out F (EDELINE, eq. 6).

    num_actions: 0: the condition is the memory's h, through which alone the action reaches EDELINE's denoiser. Else it
      is the actions in the L frames, as in DIAMOND, and attention is to pixels only.
    """

    config: DenoiserConfig
    dtype: jnp.dtype
    num_actions: int = 0

    @nn.compact
    def __call__(
        self, context: jax.Array, noisy: jax.Array, sigma: jax.Array, condition: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Denoises one frame.

        Args:
          context: the last L frames, oldest first, float32 [B, L, H, W, C] in [-1, 1].
          noisy: float32 [B, H, W, C].
          sigma: [B].
          condition: h, float32 [B, D], or the actions in the frames of the context, int [B, L].

        Returns:
          F and the denoised frame, float32 [B, H, W, C]; neither clamped nor quantised.
        """
        c, (B, *frame) = self.config, noisy.shape
        chex.assert_shape([context, sigma], [(B, None, *frame), (B,)], custom_message="context, sigma")
        chex.assert_shape(condition, (B, None), custom_message="condition")
        scale = conditioners(sigma[:, None, None, None], c.sigma_data, c.sigma_offset_noise)
        inner = InnerModel(c.inner_model, self.dtype, self.num_actions, name="inner_model")
        F = inner(context / c.sigma_data, scale.c_in * noisy, scale.c_noise[:, 0, 0, 0], condition)
        return F, scale.c_skip * noisy + scale.c_out * F
