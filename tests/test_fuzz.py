"""Random damage to what users write and keep: one line that names the culprit, and nothing changes.

Checkpoints have their own test (tests/workdir/test_checkpoints.py).
"""

import json
from pathlib import Path

import numpy as np
import pytest

from configs.atari import get_config
from edeline_jax.config import Config, pour, to_dict
from edeline_jax.dataset.arrays import DatasetError
from edeline_jax.dataset.episodes import DatasetWriter, open_dataset
from edeline_jax.runtime.errors import ConfigError, UserError
from edeline_jax.training.summary import is_finished
from edeline_jax.workdir.opening import open_workdir
from tests.dataset.test_episodes import episode
from tests.mutations import mutated, mutated_tree


def assert_one_line(error: Exception, *words: str) -> None:
    assert "\n" not in str(error) and len(str(error)) < 2000
    assert all(word in str(error) for word in words), str(error)


def test_configs() -> None:
    """A changed config is refused by the name of a key, or is a valid one."""
    rng, values = np.random.default_rng(0), get_config("breakout").to_dict()
    refused = 0
    for _ in range(300):
        changed = mutated_tree(values, rng)
        try:
            assert isinstance(pour(changed), Config)
        except ConfigError as error:
            assert_one_line(error, "config")
            refused += 1
    assert refused > 200


def test_configs_of_a_run(tmp_path: Path) -> None:
    """The stored config.json and summary.json of a folder."""
    rng, config = np.random.default_rng(1), pour(get_config("breakout"))
    open_workdir(str(tmp_path), config, (), print).keep_config()
    (tmp_path / "checkpoints" / "1").mkdir(parents=True)
    path = tmp_path / "config.json"
    good = path.read_bytes()
    for trial in range(100):
        tree = json.dumps(mutated_tree(to_dict(config), rng)).encode()
        bad = mutated(good, rng) if trial % 2 else tree
        path.write_bytes(bad)
        try:
            open_workdir(str(tmp_path), config, (), print).keep_config()
        except UserError as error:
            assert_one_line(error, str(tmp_path))
            assert path.read_bytes() == bad
        (tmp_path / "summary.json").write_bytes(mutated(b'{"progress": {"epoch": 3, "env_steps": 5}}', rng))
        with pytest.raises(UserError, match=r"summary\.json: not the summary of a run") as error:
            is_finished(tmp_path, config)
        assert_one_line(error.value)


def test_datasets(tmp_path: Path) -> None:
    """Episode files and manifests: damaged bytes, and well-formed manifests with odd values."""
    rng = np.random.default_rng(2)
    writer = DatasetWriter(tmp_path / "data", (6, 8, 3), 4)
    for number in range(3):
        writer.add(episode(5 + number, number), number)
    writer.close()
    files = {path: path.read_bytes() for path in (tmp_path / "data").iterdir()}
    manifest = json.loads(files[tmp_path / "data" / "manifest.json"])
    for trial in range(300):
        path = list(files)[rng.integers(len(files))]
        bad = mutated(files[path], rng)
        if trial % 3 == 0:
            path, bad = tmp_path / "data" / "manifest.json", json.dumps(mutated_tree(manifest, rng)).encode()
        path.write_bytes(bad)
        try:
            for read, number in zip(open_dataset(tmp_path / "data").episodes(), range(3), strict=True):
                np.testing.assert_array_equal(read.frames, episode(5 + number, number).frames)
        except DatasetError as error:
            assert_one_line(error, str(tmp_path / "data"))
        assert path.read_bytes() == bad
        path.write_bytes(files[path])


@pytest.mark.parametrize("seed", range(3))
def test_an_episode_that_claims_to_be_huge_is_refused_before_it_is_believed(tmp_path: Path, seed: int) -> None:
    writer = DatasetWriter(tmp_path / "data", (6, 8, 3), 4)
    writer.add(episode(5), 0)
    writer.close()
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    manifest["episodes"][0]["steps"] = manifest["num_steps"] = 10 ** (3 * seed + 3)
    (tmp_path / "data" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"000000\.npz: frames is uint8 \(5, 6, 8, 3\)|expected a whole number"):
        list(open_dataset(tmp_path / "data").episodes())
