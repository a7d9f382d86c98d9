"""Files of torch.save: what is read of them, and what they cannot do."""

import collections
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.torch_file import read_tensors, tensor_bytes


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="the extra `torch` is not installed: no .pt files")


def test_without_torch_a_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not there
    (tmp_path / "agent.pt").touch()
    for use in (lambda: read_tensors(tmp_path / "agent.pt"), lambda: tensor_bytes({})):
        with pytest.raises(UserError, match=r"need torch: pip install 'edeline-jax\[torch\]'"):
            use()


def training_state(torch: Any) -> dict[str, Any]:
    """The kinds of objects in the authors' state.pt."""
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    counts = collections.Counter({-1.0: 2, 0.0: 7})
    return {
        "epoch": 7,
        "num_epochs_collect": None,
        "agent": network.state_dict(),
        "opt": {"world_model": optimizer.state_dict()},
        "lr_sched": {"world_model": torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0).state_dict()},
        "train_dataset": {"lengths": np.arange(4), "num_steps": np.int64(4), "counter_rew": counts},
    }


def test_the_agent_of_a_training_state_is_read_and_the_rest_is_left_out(torch: Any, tmp_path: Path) -> None:
    state = training_state(torch)
    torch.save(state, tmp_path / "state.pt")
    got = read_tensors(tmp_path / "state.pt", part="agent")
    assert set(got) == {"weight", "bias"}
    for name, array in got.items():
        np.testing.assert_array_equal(array, state["agent"][name].numpy())
    assert read_tensors(tmp_path / "state.pt") == {}  # no tensor is at its top
    with pytest.raises(Exception, match="Weights only load failed"):  # what is skipped here stays unknown elsewhere
        torch.load(tmp_path / "state.pt", weights_only=True)


def test_tensors_are_read_as_they_were_written(tmp_path: Path, torch: Any) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1, 0], np.uint8), "c": np.array(2)}
    (tmp_path / "a.pt").write_bytes(tensor_bytes(arrays))
    got = read_tensors(tmp_path / "a.pt", part="agent")
    assert set(got) == set(arrays)
    for name, array in arrays.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


class Program:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def test_nothing_in_a_file_is_executed(tmp_path: Path, torch: Any) -> None:
    torch.save({"agent": {"x": torch.ones(1)}, "other": Program(tmp_path / "made")}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="damaged, or holds objects that are neither numbers nor their names"):
        read_tensors(tmp_path / "a.pt", part="agent")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("nested", [False, True])
def test_a_few_bytes_cannot_stand_for_many_numbers(tmp_path: Path, torch: Any, nested: bool) -> None:
    tensors = {"x": torch.zeros(1).expand(10**6, 10**6)}
    torch.save({"agent": tensors} if nested else tensors, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="x has more numbers than the file holds"):
        read_tensors(tmp_path / "a.pt", part="agent")


def test_compressed_files_are_refused(tmp_path: Path, torch: Any) -> None:
    torch.save({"x": torch.zeros(10**6)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as plain,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as z,
    ):
        for member in plain.namelist():
            z.writestr(member, plain.read(member))
    assert len(read_tensors(tmp_path / "a.pt")["x"]) == 10**6
    with pytest.raises(ValueError, match=r"it is compressed, which files of torch\.save are not"):
        read_tensors(tmp_path / "b.pt")


def test_a_list_is_no_mapping(tmp_path: Path, torch: Any) -> None:
    torch.save([torch.ones(1)], tmp_path / "a.pt")
    with pytest.raises(ValueError, match="expected a mapping of names to tensors, found list"):
        read_tensors(tmp_path / "a.pt")
