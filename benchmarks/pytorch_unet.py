"""Times the denoiser's U-Net against the same network in PyTorch's layers: `python -m benchmarks.pytorch_unet`.

Times forward alone and with gradients, at the paper's size and with the same weights, after comparing the outputs; in
turn, and prints medians and the median of the rounds' ratios. Needs the extra `torch`. PyTorch runs eagerly, as the
authors' program does, in its default layout (NCHW) and on all cores; ours runs as in an update program: compiled,
inside a loop, on a CPU spread over one device per core (JAX_NUM_CPU_DEVICES: another number).
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import torch
from absl import flags
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from torch import nn

from benchmarks.timing import Comparison, compare, seconds
from configs.atari import get_config
from edeline_jax.agent.networks import build_agent, init_params
from edeline_jax.agent.reference import DEAD, to_torch
from edeline_jax.config import pour
from edeline_jax.nn.unet import UNet as OurUNet
from edeline_jax.runtime import command_line
from edeline_jax.runtime.devices import AXIS, lift, make_mesh, spread_over_cores

BATCH = flags.DEFINE_integer("batch", 4, "Frames per call.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 7, "Timed rounds.", lower_bound=1)
LOOP = 3
PREFIX = "world_model.denoiser.inner_model.unet."


class GroupNorm(nn.Module):
    """Group norm with learned scale and bias."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(max(1, channels // 32), channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x)


class AdaGroupNorm(nn.Module):
    """Group norm with scale and shift from a condition vector."""

    def __init__(self, channels: int, cond: int):
        super().__init__()
        self.linear = nn.Linear(cond, 2 * channels)
        self.groups = max(1, channels // 32)

    def forward(self, x: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        scale, shift = self.linear(cond)[:, :, None, None].chunk(2, dim=1)
        return nn.functional.group_norm(x, self.groups) * (1 + scale) + shift


class SelfAttention(nn.Module):
    """Attention over pixels, added to the normalised input."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = GroupNorm(channels)
        self.heads = max(1, channels // 8)
        self.qkv_proj = nn.Conv2d(channels, 3 * channels, 1)
        self.out_proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        q, k, v = self.qkv_proj(x).flatten(2).unflatten(1, (3, self.heads, -1)).transpose(-1, -2).unbind(1)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.out_proj(y.transpose(-1, -2).reshape(x.shape))


class CrossAttention(nn.Module):
    """Attention to one vector, which adds its value to the normalised input."""

    def __init__(self, channels: int, cond: int):
        super().__init__()
        self.norm = GroupNorm(channels)
        self.v_proj = nn.Linear(cond, channels)
        self.out_proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        return self.norm(x) + self.out_proj(self.v_proj(cond)[:, :, None, None])


class ResBlock(nn.Module):
    """Two convolutions after adaptive norms, with a residual and optional attention."""

    def __init__(self, channels: int, features: int, cond: int, attention: bool):
        super().__init__()
        self.proj = nn.Conv2d(channels, features, 1) if channels != features else nn.Identity()
        self.norm1 = AdaGroupNorm(channels, cond)
        self.conv1 = nn.Conv2d(channels, features, 3, padding=1)
        self.norm2 = AdaGroupNorm(features, cond)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        if attention:
            self.cross_attn = CrossAttention(features, cond)
            self.attn = SelfAttention(features)

    def forward(self, x: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        h = self.conv1(nn.functional.silu(self.norm1(x, cond)))
        h = self.conv2(nn.functional.silu(self.norm2(h, cond))) + self.proj(x)
        return self.attn(self.cross_attn(h, cond)) if hasattr(self, "attn") else h


class ResBlocks(nn.Module):
    """A sequence of residual blocks, each with an optional skip to concatenate."""

    def __init__(self, sizes: Sequence[tuple[int, int]], cond: int, attention: bool = False):
        super().__init__()
        self.resblocks = nn.ModuleList(ResBlock(c, f, cond, attention) for c, f in sizes)

    def forward(self, x: torch.Tensor, cond: torch.Tensor, skips: Sequence[torch.Tensor] | None = None) -> list:
        outputs = []
        for i, block in enumerate(self.resblocks):
            x = block(x if skips is None else torch.cat([x, skips[i]], 1), cond)
            outputs.append(x)
        return outputs


class Resample(nn.Module):
    """A convolution that halves the resolution (stride 2), or follows its doubling (stride 1)."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, padding=1)
        self.doubles = stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(nn.functional.interpolate(x, scale_factor=2.0) if self.doubles else x)


class UNet(nn.Module):
    """The paper's U-Net: levels of equal width, two blocks each."""

    def __init__(self, levels: int, C: int, cond: int):
        super().__init__()
        self.d_blocks = nn.ModuleList(ResBlocks([(C, C)] * 2, cond) for _ in range(levels))
        self.mid_blocks = ResBlocks([(C, C)] * 2, cond, attention=True)
        self.u_blocks = nn.ModuleList(ResBlocks([(2 * C, C)] * 3, cond) for _ in range(levels))
        self.downsamples = nn.ModuleList(Resample(C, 2) if i else nn.Identity() for i in range(levels))
        self.upsamples = nn.ModuleList(Resample(C, 1) if i else nn.Identity() for i in range(levels))

    def forward(self, x: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        skips = []
        for down, blocks in zip(self.downsamples, self.d_blocks, strict=True):
            entry = down(x)
            skips.append([entry, *blocks(entry, cond)])
            x = skips[-1][-1]
        x = self.mid_blocks(x, cond)[-1]
        for up, blocks in zip(self.upsamples, self.u_blocks, strict=True):
            x = blocks(up(x), cond, skips.pop()[::-1])[-1]
        return x


def main(argv: Sequence[str]) -> None:
    """Prints milliseconds per call of both networks, and PyTorch's time divided by ours."""
    del argv
    spread_over_cores(BATCH.value, None)
    config = pour(get_config("breakout"))
    inner = config.agent.denoiser.inner_model
    agent = build_agent(config, 4)
    params = init_params(agent, config.frame_shape, jax.random.key(0))
    params = jax.tree.map(lambda x: x + 0.02 * np.random.default_rng(0).normal(size=x.shape).astype(x.dtype), params)
    x = np.random.default_rng(1).normal(size=(BATCH.value, 64, 64, inner.channels[0])).astype(np.float32)
    cond = np.random.default_rng(2).normal(size=(BATCH.value, inner.cond_channels)).astype(np.float32)
    theirs = reference_calls(to_torch(params, config), x, cond)
    ours = our_calls(params["world_model"]["params"]["denoiser"]["inner_model"]["unet"], x, cond)
    np.testing.assert_allclose(ours["output"](), theirs["output"](), atol=2e-4)
    print(f"| | PyTorch, ms | here on {jax.device_count()} devices, ms | ratio |\n|---|---|---|---|")
    for name in ("forward", "with gradients"):
        found = compared(theirs[name], ours[name])
        print(f"| {name} | {found.first * 1e3:.0f} | {found.second * 1e3:.0f} | {found.ratio:.2f} |", flush=True)


def compared(theirs: Callable, ours: Callable) -> Comparison:
    """Seconds of a call of each network."""
    return compare(lambda: seconds(theirs), lambda: seconds(ours) / LOOP, ROUNDS.value)


def reference_calls(state_dict: dict[str, np.ndarray], x: np.ndarray, cond: np.ndarray) -> dict[str, Callable]:
    """PyTorch's network with these weights, as functions without arguments."""
    levels = 1 + max(int(name.split("d_blocks.")[1][0]) for name in state_dict if PREFIX + "d_blocks." in name)
    net = UNet(levels, x.shape[-1], cond.shape[-1])
    weights = {name.removeprefix(PREFIX): torch.tensor(w) for name, w in state_dict.items() if name.startswith(PREFIX)}
    net.load_state_dict({name: w for name, w in weights.items() if not DEAD.match(name)})
    x = torch.tensor(x).permute(0, 3, 1, 2).contiguous()
    cond = torch.tensor(cond)

    def gradients() -> None:
        net.zero_grad()
        net(x, cond).square().mean().backward()

    return {
        "output": lambda: net(x, cond).detach().permute(0, 2, 3, 1).numpy(),
        "forward": torch.no_grad()(lambda: net(x, cond)),
        "with gradients": gradients,
    }


def our_calls(params: dict, x: np.ndarray, cond: np.ndarray) -> dict[str, Callable]:
    """Our network with these weights, likewise, on every device's share of the frames.

    A timed call runs it `LOOP` times in one compiled loop.
    """
    inner = pour(get_config("breakout")).agent.denoiser.inner_model
    net, mesh = OurUNet(inner.channels, inner.depths, inner.attn_depths), make_mesh()
    specs = P(), P(AXIS), P(AXIS)
    arrays = [jax.device_put(a, NamedSharding(mesh, spec)) for a, spec in zip((params, x, cond), specs, strict=True)]

    def output(params: dict, x: jax.Array, cond: jax.Array) -> jax.Array:
        return net.apply({"params": params}, x, cond)

    def gradients(params: dict, *inputs: jax.Array) -> dict:
        own = jax.grad(lambda params: jnp.square(output(params, *inputs)).mean())(params)
        return jax.lax.pmean(own, AXIS)

    def loop(call: Callable) -> Callable:
        def looped(params: dict, x: jax.Array, cond: jax.Array, n: jax.Array) -> dict:
            def body(_: int, params: dict) -> dict:
                total = sum(leaf.sum() for leaf in jax.tree.leaves(call(params, x, cond)))
                return jax.tree.map(lambda p: p + 1e-9 * total, params)  # so that XLA can remove no call

            return jax.lax.fori_loop(0, n, body, params)

        program = lift(looped, mesh, (*specs, P()), P(), donate=())
        return lambda: program(*arrays, LOOP)

    whole = lift(output, mesh, specs, P(AXIS), donate=())
    return {"output": lambda: np.asarray(whole(*arrays)), "forward": loop(output), "with gradients": loop(gradients)}


if __name__ == "__main__":
    command_line.run(main)
