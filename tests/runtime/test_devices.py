"""How many CPU devices a run makes of a machine's cores."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs.atari import get_config
from edeline_jax.config import pour
from edeline_jax.runtime import devices
from tests.runs import assert_one_line_error, train


@pytest.mark.parametrize(
    ("set_before", "divisible", "wanted", "made"),
    [
        (-1, 16, None, [4]),  # of six cores
        (-1, 7, None, [1]),
        (-1, 6, None, [6]),
        (-1, 16, 2, [2]),
        (8, 16, None, []),  # by JAX_NUM_CPU_DEVICES
        (8, 16, 2, [2]),
    ],
)
def test_as_many_devices_as_cores_and_batches_allow(
    monkeypatch: pytest.MonkeyPatch, set_before: int, divisible: int, wanted: int | None, made: list[int]
) -> None:
    updates = []
    config = SimpleNamespace(jax_num_cpu_devices=set_before, update=lambda key, value: updates.append((key, value)))
    monkeypatch.setattr(devices, "jax", SimpleNamespace(config=config, distributed=devices.jax.distributed))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    devices.spread_over_cores(divisible, wanted)
    assert updates == [("jax_num_cpu_devices", number) for number in made]


def test_the_processes_of_a_cluster_keep_to_one_device_each(monkeypatch: pytest.MonkeyPatch) -> None:
    config = SimpleNamespace(jax_num_cpu_devices=-1, update=lambda key, value: pytest.fail(f"{key} = {value}"))
    joined = SimpleNamespace(is_initialized=lambda: True)
    monkeypatch.setattr(devices, "jax", SimpleNamespace(config=config, distributed=joined))
    devices.spread_over_cores(16, None)


def test_devices_divide_both_batches_and_the_environments() -> None:
    config = get_config("breakout")
    config.env.num_envs = 12
    config.world_model.training.batch_size = 8
    config.actor_critic.training.batch_size = 18
    assert pour(config).divisible == 2
    config.actor_critic.training.batch_size = 16
    assert pour(config).divisible == 4
    config.collection.path_to_static_dataset = "episodes"
    assert pour(config).divisible == 1


@pytest.mark.parametrize("platform", ["cuda", "abacus"])
def test_a_device_that_is_not_there_is_one_line(tmp_path: Path, platform: str) -> None:
    result = train(tmp_path / "run", variables={"JAX_PLATFORMS": platform})
    assert_one_line_error(result, f"JAX_PLATFORMS={platform}: JAX finds no such device.")
    assert not (tmp_path / "run").exists()
