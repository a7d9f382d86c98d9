"""One registry: what an id means, and what is meant by one that is none."""

import dataclasses
import subprocess
import sys

import pytest

from configs.atari import get_config
from edeline_jax.config import pour
from edeline_jax.config.files import load_module
from edeline_jax.config.listing import listing
from edeline_jax.config.schema import EnvConfig
from edeline_jax.envs import FAMILIES, check_env, make_env
from edeline_jax.envs.registry import find_family
from tests.runs import ROOT, environment

MEANT = {
    "brekout": "breakout",
    "Breakout": "breakout",
    "BreakoutNoFrameskip-v4": "breakout",
    "ALE/Breakout-v5": "breakout",
    "MsPacman": "ms_pacman",
    "q*bert": "qbert",
    "zaxon": "zaxxon",
    "Catch-v0": "catch",
}


def settings(id: str, **changes: object) -> EnvConfig:
    return dataclasses.replace(pour(get_config()).env, id=id, **changes)


@pytest.mark.parametrize(("name", "id"), MEANT.items())
def test_a_name_that_is_none_gets_the_one_that_is_meant(name: str, id: str) -> None:
    with pytest.raises(ValueError, match=rf"^unknown environment '.*'; did you mean (\w+ or )*{id}( or \w+)*\?$"):
        check_env(settings(name))


def test_a_spelling_of_another_package_means_one_game_alone() -> None:
    for name in ("MsPacmanNoFrameskip-v4", "ALE/MsPacman-v5", "MsPacman"):  # another game is called pacman
        with pytest.raises(ValueError, match=r"did you mean ms_pacman\?$"):
            make_env(settings(name), 1, 0, lives_end=True)


def test_a_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(ValueError, match=r"^unknown environment 'nethack'; python -m edeline_jax\.train --list has"):
        check_env(settings("nethack"))


def test_no_id_has_two_families() -> None:
    ids = [id for family in FAMILIES for id in family.ids]
    assert len(set(ids)) == len(ids)
    for family in FAMILIES:
        assert all(find_family(id) is family for id in family.ids)


def test_the_list_has_every_id_and_preset_and_needs_no_jax() -> None:
    code = "import sys; from edeline_jax import train; sys.argv = ['train', '--list']; import atexit; "
    code += "atexit.register(lambda: print('jax' in sys.modules, 'envpool' in sys.modules)); train.cli()"
    line = [sys.executable, "-c", code]
    result = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60)
    assert result.stderr == "" and result.returncode == 0
    assert result.stdout == "\n".join([*listing(), "False False\n"])
    words = result.stdout.replace(",", " ").split()
    for family in FAMILIES:
        assert {*family.ids, f"{family.config}:"} <= set(words)
        assert set(getattr(load_module(family.config), "PRESETS", {})) <= set(words)
    presets = "presets: diamond, tiny, quickstart, example"
    assert f"atari: Atari 2600, first the 26 games of Atari 100k; {presets}" in result.stdout
