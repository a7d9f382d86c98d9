"""How many CPU devices a run makes of a machine's cores."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs.atari import get_config
from edeline_jax.config import pour
from edeline_jax.runtime import devices
from edeline_jax.runtime.errors import UserError
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


def test_devices_divide_both_batches_and_environments_that_are_one() -> None:
    config = get_config("breakout")
    config.env.num_envs = 1
    config.world_model.training.batch_size = 8
    config.actor_critic.training.batch_size = 18
    assert pour(config).divisible == 2
    config.actor_critic.training.batch_size = 16
    assert pour(config).divisible == 8
    config.training.model_free = True  # the batch of an update is what the environments did
    assert pour(config).divisible == 1
    config.env.num_envs = 12
    assert pour(config).divisible == 4
    config.training.model_free = False
    config.collection.path_to_static_dataset = "episodes"
    assert pour(config).divisible == 1


def failing(message: str) -> SimpleNamespace:
    def devices_() -> None:
        raise RuntimeError(message)

    return SimpleNamespace(devices=devices_)


def test_a_device_whose_memory_is_taken_names_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    full = "Unable to initialize backend 'cuda': INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory"
    monkeypatch.setattr(devices, "jax", failing(full))
    with pytest.raises(UserError, match=r"no memory is left on the device .* XLA_PYTHON_CLIENT_MEM_FRACTION=0\.45"):
        devices.require()


def test_a_device_that_fails_unasked_for_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(devices, "jax", failing("Unable to initialize backend 'cuda': the driver is too old\nmore"))
    with pytest.raises(UserError, match=r"cannot start its devices \(.*too old\); with JAX_PLATFORMS=cpu"):
        devices.require()


@pytest.mark.parametrize("platform", ["cuda", "abacus"])
def test_a_device_that_is_not_there_is_one_line(tmp_path: Path, platform: str) -> None:
    result = train(tmp_path / "run", variables={"JAX_PLATFORMS": platform})
    assert_one_line_error(result, f"JAX_PLATFORMS={platform}: JAX finds no such device.")
    assert not (tmp_path / "run").exists()
