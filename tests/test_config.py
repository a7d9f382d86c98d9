import json
import math
import sys
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

from configs.atari import get_config
from edeline_jax.config import Config, completed, pour, to_dict
from edeline_jax.convert import CONFIG
from edeline_jax.runtime.errors import ConfigError

S_TMAX = "world_model_env.diffusion_sampler.s_tmax"


def with_value(values: dict, key: str, value: object) -> dict:
    *groups, last = key.split(".")
    inner = values
    for group in groups:
        inner = inner[group]
    inner[last] = value
    return values


def test_the_paper_run() -> None:
    config = pour(get_config("breakout"))
    assert config.segment_length == 19 and config.context == 4
    assert pour(to_dict(config)) == config


def from_flags(*words: str) -> Config:
    argv = ["program", *words]
    with pytest.MonkeyPatch.context() as patch, flagsaver.flagsaver():
        patch.setattr(sys, "argv", argv)  # where ml_collections looks for the keys
        flags.FLAGS(argv)
        return pour(CONFIG.value)


def test_no_limit_goes_through_strict_json_and_flags(tmp_path: Path) -> None:
    """Every value of s_tmax in every file that a run or an agent is read from; a flag may change it again."""
    for s_tmax, written in ((math.inf, "inf"), (1e6, 1e6), (0.0, 0.0)):
        config = pour(with_value(get_config().to_dict(), S_TMAX, s_tmax))
        text = json.dumps(to_dict(config), allow_nan=False)
        assert json.loads(text)["world_model_env"]["diffusion_sampler"]["s_tmax"] == written
        assert pour(json.loads(text)) == config
        (tmp_path / "config.json").write_text(text)
        run = f"--config=run:{tmp_path}"
        assert from_flags(run) == config
        assert from_flags(run, f"--config.{S_TMAX}=inf").world_model_env.diffusion_sampler.s_tmax == math.inf
        assert from_flags(run, f"--config.{S_TMAX}=2.5").world_model_env.diffusion_sampler.s_tmax == 2.5


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("env.numenvs", 3, "config.env.numenvs: unknown key"),
        ("seed", "zero", "config.seed: expected int, got str 'zero'"),
        ("training.should", 2, "config.training.should: expected bool"),
        ("agent.denoiser.inner_model.channels", 64, "config.agent.denoiser.inner_model.channels: expected a sequence"),
        ("agent.denoiser.inner_model.depths", (2, 2), "config.agent.denoiser.inner_model.depths"),
        ("agent.denoiser.inner_model.channels", (64, "a", 64, 64), r"channels\[1\]: expected int"),
        ("world_model.loss.horizon", 1, "config.world_model.loss.horizon: a segment .* raise horizon to at least 2"),
        (
            "world_model.training.batch_size",
            30,
            "config.world_model.training.batch_size: 30 must be a multiple of the 4 devices",
        ),
        ("env.num_envs", 3, "config.env.num_envs: 3 must be a multiple of the 2 processes"),
        ("agent.compute_dtype", "float16", "must be one of float32, bfloat16"),
        ("wandb.mode", "on", "must be one of disabled, offline, online"),
        ("collection.first_epoch.min", 20_000, "config.collection.first_epoch.min"),
        ("collection.num_steps_total", 9_000, "config.collection.num_steps_total: must be at least"),
        ("env", 3, "config.env: expected a group of keys"),
        ("world_model.training.sample_weights", (0.5, 0.4), "world_model.training.sample_weights: must be .* sum to 1"),
        ("actor_critic.training.sample_weights", (), "config.actor_critic.training.sample_weights: must be the prob"),
        ("actor_critic.training.sample_weights", (1.5, -0.5), r"sample_weights\[0\]: must be a probability"),
        (S_TMAX, -math.inf, f"config.{S_TMAX}: must be a number, not negative; inf is no limit, got -inf"),
        (S_TMAX, math.nan, f"config.{S_TMAX}: must be a number"),
        (S_TMAX, "infinite", f"config.{S_TMAX}: expected float, got str"),
        ("world_model_env.diffusion_sampler.s_tmin", "inf", "s_tmin: expected float, got str"),
        ("world_model_env.diffusion_sampler.s_tmin", math.inf, "s_tmin: must be a finite number, not negative"),
        ("world_model.optimizer.lr", math.inf, "lr: must be positive and finite"),
        (
            "env.size",
            15,
            "config.env.size: 15 is too small, since agent.recurrent_emb.down halves frames 4 times: .* 16",
        ),
        (
            "agent.denoiser.inner_model",
            {
                "num_steps_conditioning": 4,
                "cond_channels": 4,
                "depths": (1,) * 8,
                "channels": (4,) * 8,
                "attn_depths": (False,) * 8,
            },
            "config.env.size: 64 is too small, since agent.denoiser.inner_model.channels halves .* 7 times: .* 128",
        ),
        ("env.size", (64, 48), r"config.env.size: expected int, got tuple \(64, 48\)"),
        ("reward.head", "symlog", "config.reward.head: must be one of sign, twohot, got 'symlog'"),
        ("reward.head", "twohot", "config.reward.clip: sign does not go with reward.head=twohot: .* take none"),
        ("agent.actor_critic.inputs", "h", "inputs: must be one of frames, frames_and_h, got 'h'"),
        ("reward.clip", "none", "config.reward.clip: none does not go with reward.head=sign, .* take reward.head=two"),
    ],
)
def test_a_bad_value_is_refused_by_name(key: str, value: object, names: str) -> None:
    four_envs = with_value(get_config("breakout").to_dict(), "env.num_envs", 4)
    values = with_value(four_envs, key, value)
    with pytest.raises(ConfigError, match=names) as error:
        pour(values, num_devices=4, num_processes=2)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("agent.kind", "diamond", "must be frames where agent.kind is diamond, .* take agent.kind=edeline"),
        ("training.model_free", True, "must be frames where training.model_free is on"),
    ],
)
def test_h_is_refused_where_there_is_none(key: str, value: object, words: str) -> None:
    values = with_value(get_config().to_dict(), "agent.actor_critic.inputs", "frames_and_h")
    assert pour(values).agent.actor_critic.sees_h
    with pytest.raises(ConfigError, match=f"^config.agent.actor_critic.inputs: {words}"):
        pour(with_value(values, key, value))


def test_the_memory_of_a_model_without_one_sets_no_least_size() -> None:
    values = with_value(get_config().to_dict(), "env.size", 32)
    deep = with_value(values, "agent.recurrent_emb.down", (True,) * 6)
    deep = with_value(deep, "agent.recurrent_emb.channels", (32,) * 6)
    with pytest.raises(ConfigError, match=r"env.size: 32 is too small, since agent.recurrent_emb.down .* 6 times"):
        pour(deep)
    assert pour(with_value(deep, "agent.kind", "diamond")).env.size == 32


def test_rewards_count_as_they_are_with_a_head_that_knows_them_or_without_one() -> None:
    values = with_value(get_config().to_dict(), "reward.clip", "none")
    assert pour(with_value(values, "reward.head", "twohot")).reward.head == "twohot"
    values["reward"]["head"] = "sign"
    assert pour(with_value(values, "training.model_free", True)).reward.clip == "none"


def test_the_config_of_an_earlier_run_learns_signs() -> None:
    values = get_config().to_dict()
    del values["reward"]
    assert completed(values)["reward"] == {"head": "sign", "clip": "sign"}
    assert pour(completed(values)) == pour(values) == pour(get_config())


def test_a_missing_key_is_named() -> None:
    values = get_config("breakout").to_dict()
    del values["actor_critic"]["loss"]["gamma"]
    with pytest.raises(ConfigError, match=r"config\.actor_critic\.loss\.gamma: missing"):
        pour(values)
