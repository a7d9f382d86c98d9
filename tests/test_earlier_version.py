"""What an earlier version left behind opens and goes on as it would have there (tests/earlier_version/README.md)."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from edeline_jax.agent.weights import Weights, read_weights
from tests.in_process import train_here
from tests.runs import state_arrays, summary

FOLDER = Path(__file__).parent / "earlier_version"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(FOLDER / "run.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "run"


@pytest.fixture(scope="module")
def exported() -> Weights:
    return read_weights(FOLDER / "agent.safetensors")


def test_an_agent_in_a_run_and_in_a_file_is_the_same(run: Path, exported: Weights) -> None:
    saved = read_weights(run)
    assert saved.config == exported.config and set(saved.tensors) == set(exported.tensors)
    for name, tensor in exported.tensors.items():
        np.testing.assert_array_equal(saved.tensors[name], tensor, err_msg=name)


@pytest.mark.ci
def test_a_run_goes_on_to_the_same_parameters(run: Path) -> None:
    """Its last epoch collects nothing, so it depends on the saved state and on the saved steps alone."""
    before = state_arrays(run)
    first_epoch = {"collection.first_epoch.min": 80, "collection.first_epoch.max": 120}  # as it was then
    output = train_here(run, {"evaluation.every": 100, "training.num_final_epochs": 2, **first_epoch})
    assert "resumed after epoch 4, 160 steps, updates (9, 9)" in output
    assert summary(run)["progress"]["epoch"] == 5 and summary(run)["world_model_updates"] == 11
    after = state_arrays(run)
    with np.load(FOLDER / "after_epoch_5.npz") as expected:
        assert len(expected.files) > 100 and set(expected.files) <= set(after)
        moved = [expected[name] - before[name] for name in expected.files]
        error = [after[name] - expected[name] for name in expected.files]
    size = [np.sqrt(sum(np.square(x).sum() for x in tree)) for tree in (moved, error)]
    assert size[0] > 1e-3  # two updates
    assert size[1] < 0.01 * size[0]  # another processor rounds otherwise
