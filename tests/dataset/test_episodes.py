"""The open episode format and its command line."""

import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest

from edeline_jax.dataset import arrays, episodes
from edeline_jax.dataset.__main__ import main
from edeline_jax.dataset.arrays import DatasetError
from edeline_jax.dataset.episodes import DatasetWriter, Episode, open_dataset
from edeline_jax.runtime.errors import UserError
from tests.in_process import call
from tests.runs import assert_one_line_error, module, train, write_recordings

LENGTHS = [9, 14, 5, 20, 8, 3, 11, 6, 10]


def episode(length: int, seed: int = 0) -> Episode:
    rng = np.random.default_rng(seed)
    last = np.arange(length) == length - 1
    return Episode(
        rng.integers(0, 256, (length, 6, 8, 3), dtype=np.uint8),
        rng.integers(0, 4, length).astype(np.int32),
        rng.normal(size=length).astype(np.float32),
        last,
        np.zeros(length, bool),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer = DatasetWriter(tmp_path / "data", (6, 8, 3), 4)
    for number in (2, 0, 1):  # in any order
        writer.add(episode(LENGTHS[number], number), number)
    writer.close()
    return tmp_path / "data"


def test_what_was_written_is_read_in_order_of_age(folder: Path) -> None:
    dataset = open_dataset(folder)
    assert (dataset.frame_shape, dataset.num_actions, dataset.num_steps) == ((6, 8, 3), 4, sum(LENGTHS[:3]))
    for number, got in enumerate(dataset.episodes()):
        jax.tree.map(np.testing.assert_array_equal, got, episode(LENGTHS[number], number))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e._replace(actions=e.actions + 4), r"000003.npz: actions 4\.\.7 outside of 0\.\.3"),
        (lambda e: e._replace(rewards=e.rewards * np.nan), "rewards are not finite at step 0"),
        (lambda e: e._replace(ends=np.ones(9, bool)), "goes on after its end at step 0"),
        (lambda e: Episode(*(x[:0] for x in e)), "an episode of no steps"),
    ],
)
def test_episodes_that_make_no_sense_are_not_written(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        DatasetWriter(tmp_path / "data", (6, 8, 3), 4).add(change(episode(9)), 3)


def test_damage_is_named(folder: Path) -> None:
    path = folder / "000001.npz"
    path.write_bytes(path.read_bytes()[:-1])
    dataset = open_dataset(folder)
    with pytest.raises(DatasetError, match=r"000001\.npz: damaged, or not the file that was listed"):
        list(dataset.episodes())
    result = module("edeline_jax.dataset", "validate", folder)
    assert result.returncode == 1 and "000001.npz: damaged" in result.stdout
    assert "1 of 3 episodes cannot be used" in result.stderr


def test_import_inspect_and_validate(tmp_path: Path) -> None:
    write_recordings(tmp_path / "recordings", LENGTHS)
    result = module("edeline_jax.dataset", "import", tmp_path / "recordings", tmp_path / "data", "--num_actions=4")
    assert result.returncode == 0, result.stderr
    assert f"9 episodes, {sum(LENGTHS)} steps" in result.stdout and "actions: 4" in result.stdout
    assert module("edeline_jax.dataset", "inspect", tmp_path / "data").stdout == result.stdout  # no word on rewards
    assert module("edeline_jax.dataset", "validate", tmp_path / "data").returncode == 0
    fixed = f"--config.collection.path_to_static_dataset={tmp_path / 'data'}"
    none = "--config.env.id=none"
    assert_one_line_error(
        train(tmp_path / "run", fixed, none, "--config.env.size=40"), "config.env.size: 40", "(20, 20, 3)"
    )
    assert_one_line_error(train(tmp_path / "run", fixed), "catch has 3 actions", "has 4")


def test_rewards_of_which_only_the_signs_count_are_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    frames, actions = np.zeros((4, 4, 4, 3), np.uint8), np.zeros(4, int)
    np.savez(tmp_path / "a.npz", frames=frames, actions=actions, rewards=np.array([0.005, 1, -1, 0]))
    np.savez(tmp_path / "b.npz", frames=frames, actions=actions, rewards=np.array([0, 7, -2, 0]))
    call(main, "import", tmp_path, tmp_path / "data")
    said = capsys.readouterr().out
    assert "rewards: 3 of 8 are others than -1, 0 and 1; a run learns only their signs, unless" in said


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"frames": np.zeros((3, 4, 4, 3), np.float32)}, "frames is float32 (3, 4, 4, 3), expected uint8"),
        ({"actions": np.zeros(4, int)}, "arrays of different lengths"),
        ({"actions": np.array([0.5, 1, 1])}, "actions is float64 (3,), expected int32"),
        ({"rewards": None}, "has no array 'rewards'"),
    ],
)
def test_foreign_recordings_that_do_not_fit_are_named(tmp_path: Path, arrays: dict, message: str) -> None:
    good = {"frames": np.zeros((3, 4, 4, 3), np.uint8), "actions": np.zeros(3, int), "rewards": np.zeros(3)}
    np.savez(tmp_path / "a.npz", **{name: x for name, x in (good | arrays).items() if x is not None})
    result = module("edeline_jax.dataset", "import", tmp_path, tmp_path / "data")
    assert_one_line_error(result, "a.npz", message)
    assert not (tmp_path / "data").exists()


def test_a_manifest_cannot_point_outside_of_its_folder(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["episodes"][0]["file"] = "../000000.npz"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"manifest\.json: .*file must be the plain name"):
        open_dataset(folder)


def test_a_small_file_that_stands_for_gigabytes_is_refused_by_its_header(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "MOST_BYTES", 10**6)
    T = 30_000
    np.savez_compressed(
        tmp_path / "bomb.npz",
        frames=np.zeros((T, 4, 4, 3), np.uint8),
        actions=np.zeros(T, int),
        rewards=np.zeros(T),
    )
    assert (tmp_path / "bomb.npz").stat().st_size < 10_000
    with pytest.raises(DatasetError, match=r"bomb\.npz: frames takes 0\.0 GB, a file may hold 0\.0; split it"):
        call(main, "import", tmp_path, tmp_path / "data")


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(DatasetError, match=r"a\.npz: not a regular file"):
        call(main, "import", tmp_path, tmp_path / "data")


@pytest.mark.parametrize("number", ["Infinity", "1" + "0" * 400, "NaN"])
def test_a_manifest_with_a_number_that_is_none_is_refused(folder: Path, number: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["episodes"][0]["total_reward"] = 123456.5
    (folder / "manifest.json").write_text(json.dumps(manifest).replace("123456.5", number))
    with pytest.raises(DatasetError, match=r"manifest\.json: not a manifest of episodes"):
        open_dataset(folder)


def test_frames_that_are_not_square_are_refused_at_import(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", frames=np.zeros((3, 4, 6, 3), np.uint8), actions=np.zeros(3, int), rewards=np.zeros(3))
    with pytest.raises(DatasetError, match="frames of 4 x 6; they must be square: crop or pad them"):
        call(main, "import", tmp_path, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_an_import_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the disk fills up at the third episode."""
    write_recordings(tmp_path / "recordings", LENGTHS)
    write, written = episodes.write_arrays, []

    def fill(path: Path, content: dict) -> None:
        if len(written) == 2:
            raise UserError(f"cannot write {path}: No space left on device; make room and try again")
        written.append(path)
        write(path, content)

    monkeypatch.setattr(episodes, "write_arrays", fill)
    with pytest.raises(UserError, match="No space left"):
        call(main, "import", tmp_path / "recordings", tmp_path / "data")
    assert len(written) == 2 and not (tmp_path / "data").exists()
