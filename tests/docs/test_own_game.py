"""docs/worlds.md, "Train on your own game", as it is written."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from edeline_jax.config import Config
from edeline_jax.envs import make_env
from edeline_jax.runtime.errors import ConfigError
from tests.in_process import train_here
from tests.runs import ROOT, rows, summary
from tests.test_config import from_flags

SECTION = (ROOT / "docs" / "worlds.md").read_text().partition("## Train on your own game")[2]
HARE, HUNTER = (255, 220, 60), (60, 200, 255)


def block(language: str) -> str:
    return re.search(rf"^```{language}\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """What the command of the page means in the folder of the file."""
    pytest.importorskip("gymnasium", reason="an extra")
    (tmp_path / "my_game.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    return from_flags(*shlex.split(block("bash").partition("edeline_jax.train ")[2]))


def test_it_is_twenty_lines_of_code() -> None:
    assert len([line for line in block("python").splitlines() if line.strip()]) <= 22


def test_the_game_is_played_and_can_be_won(config: Config) -> None:
    env = make_env(config.env, 4, 0, lives_end=True)
    frames, scores = env.reset(), []
    assert env.num_actions == 3 and frames.shape == (4, 32, 32, 3)
    for _ in range(40):
        columns = [(frames == colour).all(-1).any(1).argmax(1) // 4 for colour in (HUNTER, HARE)]
        step = env.step(1 + np.sign(columns[1] - columns[0]))
        frames = step.obs
        scores += step.reward[step.game_over].tolist()
        assert not step.truncation.any()
    assert len(scores) > 30 and set(scores) == {1.0}


@pytest.mark.ci
def test_a_run_trains_on_it(config: Config, tmp_path: Path) -> None:
    """In frames and networks of the other tests."""
    changes = {"env.id": config.env.id, "env.module": config.env.module, "training.num_final_epochs": 0}
    train_here(tmp_path / "run", changes | {"collection.num_steps_total": 120})
    end = summary(tmp_path / "run")
    assert end["id"] == "gymnasium/Chase-v0" and end["progress"]["epoch"] == 2 and end["num_games"] == 6
    assert 0 <= end["return_mean"] <= 1 and end["length_mean"] <= 8
    assert all(line["collect/length_mean"] <= 8 for line in rows(tmp_path / "run") if "collect/length_mean" in line)


def test_the_discrete_variant_that_the_page_names_is_asked_for() -> None:
    (words,) = re.findall(r"`(--config=gymnasium:CarRacing.*?)`", SECTION, re.DOTALL)
    with pytest.raises(ConfigError) as error:
        from_flags(*shlex.split(words.replace("Car", "Kar")))
    assert "CarRacing-v3" in str(error.value)
