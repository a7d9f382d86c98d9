"""Checks that the keys of a config agree with each other."""

from collections.abc import Sequence

from edeline_jax.config.schema import Config
from edeline_jax.envs import check_env
from edeline_jax.runtime.errors import ConfigError, shorten


def check(config: Config, num_devices: int, num_processes: int) -> None:
    """Raises ConfigError, naming the key and what to change, if keys contradict each other or the machines."""
    _check_env(config)
    _check_schedule(config)
    _check_segments(config)
    _check_rewards(config)
    _check_sample_weights(config)
    _check_networks(config)
    if config.agent.kind == "diamond":
        _check_diamond(config)
    _check_size(config)
    _check_devices(config, num_devices, num_processes)


def _require(holds: bool, key: str, remedy: str) -> None:
    if not holds:
        raise ConfigError(f"config.{key}: {remedy}")


def _check_env(config: Config) -> None:
    try:
        check_env(config.env)
    except ValueError as error:
        raise ConfigError(f"config.env: {error}") from error
    _require(
        config.has_env or config.collection.path_to_static_dataset != "",
        "env.id",
        "none has no steps to collect: set collection.path_to_static_dataset, or name an environment",
    )
    _require(
        config.env.max_episode_frames >= config.env.frame_skip,
        "env.max_episode_frames",
        f"must be at least env.frame_skip ({config.env.frame_skip})",
    )


def _check_schedule(config: Config) -> None:
    c = config.collection
    _require(
        c.first_epoch.min <= c.first_epoch.max,
        "collection.first_epoch.min",
        f"must be at most first_epoch.max ({c.first_epoch.max})",
    )
    _require(
        c.num_steps_total >= c.first_epoch.max,
        "collection.num_steps_total",
        f"must be at least collection.first_epoch.max ({c.first_epoch.max})",
    )
    _require(
        not config.training.model_free or config.actor_critic.training.steps_per_epoch >= 1,
        "actor_critic.training.steps_per_epoch",
        "must be at least 1 where training.model_free is on: only updates take steps there",
    )
    _require(
        not (config.training.model_free and c.path_to_static_dataset),
        "training.model_free",
        "learns from real environments: leave collection.path_to_static_dataset empty",
    )
    _require(
        not (config.training.model_free and config.agent.actor_critic.sees_h),
        "agent.actor_critic.inputs",
        "must be frames where training.model_free is on: without a world model nothing learns what h says",
    )


def _check_segments(config: Config) -> None:
    loss = config.world_model.loss
    sampler = config.world_model_env.diffusion_sampler
    _require(
        loss.horizon >= 1 + loss.num_autoregressive_steps,
        "world_model.loss.horizon",
        f"a segment (horizon + L = {config.segment_length}) must hold L + {1 + loss.num_autoregressive_steps} steps: "
        f"raise horizon to at least {1 + loss.num_autoregressive_steps}",
    )
    _require(
        config.burn_in >= config.context - 1,
        "world_model_env.burn_in",
        f"must be at least L - 1 ({config.context - 1}), the frames that the denoiser sees besides the newest; "
        "0 is that number",
    )
    for key, sigmas in (
        ("world_model_env.diffusion_sampler", sampler),
        ("world_model.loss.sigma_distribution", loss.sigma_distribution),
    ):
        _require(
            sigmas.sigma_min < sigmas.sigma_max, f"{key}.sigma_min", f"must be below sigma_max ({sigmas.sigma_max})"
        )


def _check_rewards(config: Config) -> None:
    head, clip = config.reward.head, config.reward.clip
    _require(
        head == "sign" or clip == "none",
        "reward.clip",
        "sign does not go with reward.head=twohot: an expected reward is hardly ever 0, so its sign says nothing; "
        "take none",
    )
    _require(
        clip == "sign" or head == "twohot" or config.training.model_free,
        "reward.clip",
        "none does not go with reward.head=sign, which imagines nothing but signs: take reward.head=twohot",
    )


def _check_sample_weights(config: Config) -> None:
    for network in ("world_model", "actor_critic"):
        weights = getattr(config, network).training.sample_weights
        _require(
            0 < len(weights) <= 64 and abs(sum(weights) - 1) < 1e-6,
            f"{network}.training.sample_weights",
            f"must be the probabilities of 1 to 64 age groups, which sum to 1; got {shorten(str(weights))}",
        )


def _check_networks(config: Config) -> None:
    inner = config.agent.denoiser.inner_model
    _require(
        config.context >= 2,
        "agent.denoiser.inner_model.num_steps_conditioning",
        "must be at least 2: imagination burns in on all frames of its start but the newest",
    )
    _require(
        len(inner.depths) == len(inner.channels) == len(inner.attn_depths) > 0,
        "agent.denoiser.inner_model.depths",
        "depths, channels and attn_depths must have the same length, one entry per level",
    )
    _require(
        inner.cond_channels % 2 == 0, "agent.denoiser.inner_model.cond_channels", "must be even (cos and sin features)"
    )
    attends = [*inner.channels[-1:], *(c for c, a in zip(inner.channels, inner.attn_depths, strict=True) if a)]
    neighbours = [a + b for a, b in zip(inner.channels, inner.channels[1:], strict=False)]  # concatenated skips
    doubled = [2 * c for c in inner.channels]
    _check_groups("agent.denoiser.inner_model.channels", [*inner.channels, *neighbours, *doubled])
    _require(
        all(c % max(1, c // 8) == 0 for c in attends),
        "agent.denoiser.inner_model.channels",
        "levels with attention, and the last, must be multiples of their number of heads (channels // 8)",
    )
    d_model = config.agent.recurrent_emb.mamba.d_model
    _require(
        config.agent.recurrent_emb.memory != "transformer" or d_model % max(1, d_model // 32) == 0,
        "agent.recurrent_emb.mamba.d_model",
        f"{d_model} does not divide into the transformer's {d_model // 32} heads of about 32",
    )
    for name, encoder in (("recurrent_emb", config.agent.recurrent_emb), ("actor_critic", config.agent.actor_critic)):
        _require(
            0 < len(encoder.channels) == len(encoder.down) <= 16,
            f"agent.{name}.down",
            "must have one entry per channel, and at most 16",
        )
        _check_groups(f"agent.{name}.channels", encoder.channels)


def _check_diamond(config: Config) -> None:
    """What only DIAMOND's networks ask for."""
    inner, model = config.agent.denoiser.inner_model, config.agent.rew_end_model
    _require(
        not config.agent.actor_critic.sees_h,
        "agent.actor_critic.inputs",
        "must be frames where agent.kind is diamond, whose world model has no h; take agent.kind=edeline to see one",
    )
    _require(
        inner.frame_stack,
        "agent.denoiser.inner_model.frame_stack",
        "must be True where agent.kind is diamond, which sees nothing but frames",
    )
    _require(
        inner.cond_channels % config.context == 0,
        "agent.denoiser.inner_model.cond_channels",
        f"must be a multiple of num_steps_conditioning ({config.context}), since its condition is as many actions",
    )
    _require(
        len(model.depths) == len(model.channels) == len(model.attn_depths) > 0,
        "agent.rew_end_model.depths",
        "depths, channels and attn_depths must have the same length, one entry per level",
    )
    _check_groups("agent.rew_end_model.channels", model.channels)
    attends = [*model.channels[-1:], *(c for c, a in zip(model.channels, model.attn_depths, strict=True) if a)]
    _require(
        all(c % max(1, c // 8) == 0 for c in attends),
        "agent.rew_end_model.channels",
        "levels with attention, and the last, must be multiples of their number of heads (channels // 8)",
    )


def _check_size(config: Config) -> None:
    """A frame must survive the halvings of every network; beyond that any size will do, an odd one too."""
    agent = config.agent
    halvings = {"agent.denoiser.inner_model.channels": len(agent.denoiser.inner_model.channels) - 1}
    if agent.kind == "diamond":
        halvings["agent.rew_end_model.channels"] = len(agent.rew_end_model.channels) - 1
    else:
        halvings["agent.recurrent_emb.down"] = sum(agent.recurrent_emb.down)
    halvings["agent.actor_critic.down"] = sum(agent.actor_critic.down)
    key = max(halvings, key=halvings.get)
    _require(
        config.env.size >= 2 ** halvings[key],
        "env.size",
        f"{config.env.size} is too small, since {key} halves frames {halvings[key]} times: take at least "
        f"{2 ** halvings[key]}",
    )


def _check_groups(key: str, channels: Sequence[int]) -> None:
    for c in channels:
        _require(c % max(1, c // 32) == 0, key, f"{c} does not divide into its {c // 32} norm groups of about 32")


def _check_devices(config: Config, num_devices: int, num_processes: int) -> None:
    for group in ("world_model", "actor_critic"):
        training = getattr(config, group).training
        _require(
            training.batch_size % num_devices == 0,
            f"{group}.training.batch_size",
            f"{training.batch_size} must be a multiple of the {num_devices} devices: "
            f"{_multiples(training.batch_size, num_devices)}",
        )
    each = config.training.model_free or config.replay.placement == "host"
    plays, n = ("devices", num_devices) if each else ("processes", num_processes)
    _require(
        config.env.num_envs % n == 0 or not config.has_env,
        "env.num_envs",
        f"{config.env.num_envs} must be a multiple of the {n} {plays}, each of which has as many: "
        f"{_multiples(config.env.num_envs, n)}",
    )


def _multiples(n: int, divisor: int) -> str:
    """The nearest valid values, in words."""
    below = n // divisor * divisor
    return f"{below} or {below + divisor} would do" if below else f"{divisor} would do"
