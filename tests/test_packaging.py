"""What is installed without a checkout: packages, config files, typing."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.runs import ROOT, environment

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_installed() -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "edeline_jax").rglob("*.py")}
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted([*(".".join(folder.parts) for folder in folders), "edeline_jax.configs"])


def test_every_data_file_is_installed() -> None:
    package_data = PROJECT["tool"]["setuptools"]["package-data"]
    listed = {file for name, globs in package_data.items() for glob in globs for file in folder_of(name).glob(glob)}
    kept = {path for path in (ROOT / "edeline_jax").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert listed == {path for path in kept if path.suffix != ".py"}


def folder_of(package: str) -> Path:
    return ROOT.joinpath(*package.split("."))


def test_no_module_is_hidden_by_a_package_of_its_name() -> None:
    assert [path for path in (ROOT / "edeline_jax").rglob("*.py") if path.with_suffix("").is_dir()] == []


def test_what_an_index_shows_leads_nowhere_into_a_checkout() -> None:
    text = (ROOT / PROJECT["project"]["readme"]).read_text()
    assert set(re.findall(r"\]\(([^)]*)\)", text)) <= set(PROJECT["project"]["urls"].values())
    named = re.findall(r"(?:^|`)(edeline-(?!jax)\w+)", text, re.MULTILINE)
    assert named and set(named) <= set(PROJECT["project"]["scripts"])
    extras = {extra for group in re.findall(r"edeline-jax\[([\w,]+)\]", text) for extra in group.split(",")}
    assert extras and extras <= set(PROJECT["project"]["optional-dependencies"])


def test_a_source_distribution_has_everything() -> None:
    """Every folder and page of the repository: its tests read them."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode != 0:
        pytest.skip("not in a git checkout, so what belongs to it is not known")
    manifest = (ROOT / "MANIFEST.in").read_text()
    automatic = {"edeline_jax", "pyproject.toml", "LICENSE", "MANIFEST.in", ".gitignore"}
    for name in {Path(line).parts[0] for line in tracked.stdout.splitlines()} - automatic:
        kind = f"graft {name}\n" if (ROOT / name).is_dir() else name if not name.endswith(".md") else "*.md"
        assert kind in manifest, name


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as in a wheel: the config files inside of it."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "edeline_jax", site / "edeline_jax")
    shutil.copytree(ROOT / "configs", site / "edeline_jax" / "configs")
    return site


@pytest.mark.parametrize("name", ["atari:breakout,tiny", "configs/atari.py:breakout,tiny", "catch", "configs/catch.py"])
def test_config_files_are_found_outside_of_a_checkout(site: Path, tmp_path: Path, name: str) -> None:
    code = "import edeline_jax, sys; from edeline_jax.config.files import load; print(edeline_jax.__file__); "
    line = [sys.executable, "-c", code + "print(load(sys.argv[1]).env)", name]
    env = environment(PYTHONPATH=str(site))
    result = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert result.stdout.startswith(str(site)), result.stderr
    assert f"id: {'breakout' if 'breakout' in name else 'catch'}" in result.stdout


def test_a_file_of_ones_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edeline_jax.config.files import load, locate

    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    own = "from edeline_jax.config.files import load\ndef get_config(seed):\n    config = load('catch')\n"
    (tmp_path / "configs" / "atari.py").write_text(own + "    config.seed = int(seed)\n    return config\n")
    assert locate("configs/atari.py:5") == "configs/atari.py:5"
    assert load("configs/atari.py:5").seed == 5 and load("configs/atari.py:5").env.id == "catch"
    assert locate("atari:pong") == f"{ROOT}{os.sep}configs{os.sep}atari.py:pong"
