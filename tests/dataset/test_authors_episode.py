"""Replays of the authors' program are imported: which files, in which order, and what is refused."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edeline_jax.dataset import arrays, authors_episode
from edeline_jax.dataset.__main__ import main
from edeline_jax.dataset.arrays import DatasetError
from edeline_jax.dataset.authors_episode import find_authors_episodes
from edeline_jax.dataset.episodes import Episode, open_dataset
from edeline_jax.runtime.errors import UserError
from tests.in_process import call

Tensors = dict[str, np.ndarray]
NUMBERS = [0, 2, 9, 10, 100, 1002, 1234]  # their paths are in another order


def tensors(number: int, length: int = 6) -> Tensors:
    rng = np.random.default_rng(number)
    end, trunc = np.zeros((2, length), np.uint8)
    (end if number % 2 else trunc)[-1] = 1
    return {
        "obs": rng.integers(0, 256, (length, 3, 4, 4), dtype=np.uint8),
        "act": rng.integers(0, 5, length),
        "rew": rng.normal(size=length).astype(np.float32),
        "end": end,
        "trunc": trunc,
    }


def path_of(replay: Path, number: int) -> Path:
    """Three folders of one digit each: hundreds, tens, ones."""
    hundreds, tens, ones = number // 100 % 10 * 100, number // 10 % 10 * 10, number % 10
    path = replay / f"{hundreds:03d}" / f"{tens:02d}" / f"{ones}" / f"{number}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def expected(number: int) -> Episode:
    theirs = tensors(number)
    frames = np.stack([frame.transpose(1, 2, 0) for frame in theirs["obs"]])
    return Episode(frames, theirs["act"], theirs["rew"], theirs["end"] == 1, theirs["trunc"] == 1)


def assert_imported(folder: Path, numbers: list[int]) -> None:
    episodes = list(open_dataset(folder).episodes())
    assert len(episodes) == len(numbers)
    for got, number in zip(episodes, numbers, strict=True):
        for x, y in zip(got, expected(number), strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's replay of which torch would read `tensors`: the files themselves are empty."""
    replay = tmp_path / "run" / "dataset" / "train"
    for number in NUMBERS:
        path_of(replay, number).touch()
    (replay / "info.pt").touch()
    (replay / "000" / "00" / "3" / "4.tmp").parent.mkdir()
    (replay / "000" / "00" / "3" / "4.tmp").touch()
    path_of(tmp_path / "run" / "dataset" / "test", 5).touch()
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / "0.pt").touch()
    monkeypatch.setattr(authors_episode, "read_tensors", lambda path: tensors(int(path.stem)))
    return tmp_path / "run"


@pytest.mark.parametrize("source", [".", "dataset", "dataset/train"])
def test_a_replay_is_imported_in_order_of_age(run: Path, tmp_path: Path, source: str) -> None:
    call(main, "import", run / source, tmp_path / "data")
    assert_imported(tmp_path / "data", NUMBERS)
    assert open_dataset(tmp_path / "data").num_actions == 5


def test_the_test_games_can_be_imported_alone(run: Path) -> None:
    assert [path.name for path in find_authors_episodes(run / "dataset" / "test")] == ["5.pt"]


def test_a_folder_without_episodes_is_named(tmp_path: Path) -> None:
    (tmp_path / "info.pt").touch()
    (tmp_path / "agent_epoch_00010.pt").touch()
    with pytest.raises(DatasetError, match=r"no \.npz files there, nor episodes of the authors' program"):
        call(main, "import", tmp_path, tmp_path / "data")


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda theirs: {key: x for key, x in theirs.items() if key != name}


def other(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], Tensors]:
    return lambda theirs: theirs | {name: change(theirs[name])}


def with_last(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.array([*x[:-1], value])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            other("obs", lambda x: x.astype(np.float32)),
            "obs is float32 (6, 3, 4, 4), expected uint8 [any, 3, any, any]",
        ),
        (other("obs", lambda x: x.transpose(0, 2, 3, 1)), "obs is uint8 (6, 4, 4, 3), expected uint8"),
        (other("act", lambda x: x.astype(np.float32)), "act is float32 (6,), expected int32 [any]"),
        (other("act", with_last(2**32 + 1)), "act has values that do not fit int32"),
        (other("act", lambda x: x - 5), "outside of 0.."),
        (other("rew", with_last(np.inf)), "rewards are not finite at step 5"),
        (other("rew", lambda x: x[:4]), "arrays of different lengths, obs 6, act 6, rew 4"),
        (other("rew", lambda x: x[:, None]), "rew is float32 (6, 1), expected float32 [any]"),
        (other("end", np.ones_like), "goes on after its end at step 0"),
        (without("trunc"), "has no array 'trunc'"),
        (lambda theirs: {name: x[:0] for name, x in theirs.items()}, "an episode of no steps"),
        (other("obs", lambda x: x[:, :, :3]), "frames (3, 4, 3), those of 0.pt are (4, 4, 3)"),
    ],
)
def test_episodes_that_do_not_fit_are_named_and_nothing_is_left(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensors], Tensors], words: str
) -> None:
    last = path_of(run / "dataset" / "train", 1234)
    monkeypatch.setattr(
        authors_episode,
        "read_tensors",
        lambda path: (change if path == last else dict)(tensors(int(path.stem))),
    )
    with pytest.raises(DatasetError, match=rf"{last}: .*{re.escape(words)}"):
        call(main, "import", run, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_frames_that_are_not_square_are_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = other("obs", lambda x: x[:, :, :3])
    monkeypatch.setattr(authors_episode, "read_tensors", lambda path: wide(tensors(0)))
    with pytest.raises(DatasetError, match="frames of 3 x 4; they must be square"):
        call(main, "import", run, tmp_path / "data")


def test_a_file_larger_than_any_episode_is_not_read(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MOST_BYTES", 10**6)
    monkeypatch.setattr(authors_episode, "read_tensors", lambda path: pytest.fail("it was read"))
    os.truncate(path_of(run / "dataset" / "train", 0), 10**6 + 1)
    with pytest.raises(DatasetError, match=r"0\.pt: .*it takes 0\.0 GB, a file may hold 0\.0; split it"):
        call(main, "import", run, tmp_path / "data")


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(path_of(tmp_path, 7))
    with pytest.raises(DatasetError, match=r"7\.pt: not a regular file"):
        call(main, "import", tmp_path, tmp_path / "data")


def test_without_torch_a_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not there
    path_of(tmp_path, 7).touch()
    with pytest.raises(UserError, match=r"^\.pt files need torch: pip install 'edeline-jax\[torch\]'$"):
        call(main, "import", tmp_path, tmp_path / "data")


def test_files_of_torch_are_imported(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed: no .pt files")
    for number in NUMBERS:
        saved = {name: torch.from_numpy(x) for name, x in tensors(number).items()}
        torch.save(saved | {"info": {"final_observation": torch.ones(3, 4, 4)}}, path_of(tmp_path / "train", number))
    torch.save({"lengths": np.arange(3)}, tmp_path / "train" / "info.pt")
    call(main, "import", tmp_path, tmp_path / "data")
    assert_imported(tmp_path / "data", NUMBERS)


def test_a_file_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed: no .pt files")
    saved = {name: torch.from_numpy(x) for name, x in tensors(7).items()}
    saved["obs"] = torch.zeros(1, dtype=torch.uint8).expand(10**6, 3, 10**4, 10**4)
    torch.save(saved, path_of(tmp_path, 7))
    words = r"7\.pt: not an episode of the authors' program \(obs has more numbers than the file holds\)"
    with pytest.raises(DatasetError, match=words):
        call(main, "import", tmp_path, tmp_path / "data")
    path_of(tmp_path, 7).write_bytes(b"anything else")
    with pytest.raises(DatasetError, match=r"7\.pt: not an episode of the authors' program \(File is not a zip"):
        call(main, "import", tmp_path, tmp_path / "data")
