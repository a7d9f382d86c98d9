"""The trained example: it is what its card says, and every program takes it by its name."""

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import edeline_jax
from edeline_jax.agent.weights import checksum, read_agent
from edeline_jax.config import pour, to_dict
from edeline_jax.config.files import load as load_config
from edeline_jax.envs import make_env
from edeline_jax.evaluation.actors import RandomActor
from edeline_jax.evaluation.exam import find_agent
from edeline_jax.evaluation.recording import record_round
from edeline_jax.runtime.files import to_path
from edeline_jax.workdir.example import AGENT, FOLDER, agent_path, run_path
from edeline_jax.workdir.folder import RunFolder
from tests.runs import module

CARD = (FOLDER / "README.md").read_text()
RUN = RunFolder(FOLDER)


def files() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(FOLDER).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def exam() -> dict:
    (path,) = RUN.exam_cards
    return json.loads(path.read_text())


def test_it_is_small() -> None:
    assert AGENT.stat().length <= 3e6 and sum(map(len, files().values())) <= 6e6


def test_it_was_trained_by_the_command_on_its_card() -> None:
    (spec,) = re.findall(r"python -m edeline_jax\.train --config=(\S+)", CARD)
    config = to_dict(pour(load_config(spec)))
    assert to_dict(read_agent(AGENT).config) == config
    assert to_dict(pour(RUN.read_config())) == config


def test_the_figures_of_its_card_are_those_of_its_evaluation(exam: dict) -> None:
    with safe_open(AGENT, framework="numpy") as file:
        assert exam["agent_checksum"] == file.metadata()["crc32"] and exam["agent_path"] == "example"
    for player, name in (("agent", "the agent"), ("random", "random play")):
        figures = exam[player]
        low, high = figures["return_interval"]
        mean, error = figures["return_mean"], figures["return_standard_error"]
        assert f"| {name} | {mean:.1f} ± {error:.1f} | {low:.1f} to {high:.1f} |" in CARD
    assert f"{exam['num_games']} games each, seed {exam['seed']}" in CARD


def test_the_errors_on_its_card_are_those_of_its_dream() -> None:
    horizon = json.loads((FOLDER / "report" / "dream.json").read_text())["horizon"]
    for name, key in (("the dream", "pixel_error"), ("the last frame", "pixel_error_repeat")):
        row = " | ".join(f"{error:.1f}" for error in horizon[key][: horizon["steps"].index(100) + 1])
        assert f"| {name} | {row} |" in CARD


def test_nothing_that_it_ships_names_a_machine() -> None:
    for path, content in files().items():
        if path.suffix in (".json", ".jsonl", ".md"):
            assert not re.search(rb"[\"' ](/|[A-Z]:\\)\w", content), path


def test_the_word_stands_for_it_and_a_path_for_a_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example").mkdir()
    assert (agent_path("example"), run_path("example")) == (AGENT, FOLDER)
    for name in ("./example", "example/", str(tmp_path / "example")):
        assert agent_path(name).resolve() == run_path(name).resolve() == to_path(str(tmp_path / "example"))


def test_what_is_found_out_about_it_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_agent(AGENT) == (AGENT, to_path("outputs/example"), "example")


def test_it_loads_by_its_name_and_acts() -> None:
    agent = edeline_jax.load("example", seed=3)
    size = agent.config.env.size
    frames = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    ours = edeline_jax.load(str(AGENT), seed=3)
    np.testing.assert_array_equal(agent.act(frames), ours.act(frames))


def test_its_page_shows_its_evaluation(tmp_path: Path, exam: dict) -> None:
    page = tmp_path / "example.html"
    result = module("edeline_jax.report", "example", f"--html={page}", cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    text = page.read_text()
    assert f"{exam['agent']['return_mean']:,.2f}" in text and "is not there" not in text


def test_it_converts(tmp_path: Path) -> None:
    result = module("edeline_jax.convert", "example", tmp_path / "copy.safetensors")
    assert result.returncode == 0 and result.stderr == "", result.stderr
    copy = read_agent(to_path(str(tmp_path / "copy.safetensors")))
    assert checksum(copy) == checksum(read_agent(AGENT))


@pytest.mark.ci
def test_it_is_evaluated_anew_beside_the_user_s_runs(tmp_path: Path, exam: dict) -> None:
    """Two games, and no file of the package is touched."""
    package = files()
    result = module("edeline_jax.evaluate", "--agent=example", "--episodes=2", "--num_envs=2", cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    card = json.loads((tmp_path / "outputs" / "example" / "example-seed-0.json").read_text())
    assert card["id"] == exam["id"] and card["num_games"] == 2
    assert files() == package


@pytest.mark.ci
def test_its_dream_is_nearer_to_the_game_than_a_still() -> None:
    """Pixel error of what it imagines along a game played at random, beside that of the last real frame."""
    agent = edeline_jax.load("example")
    with contextlib.closing(make_env(agent.config.env, 1, 7, lives_end=False)) as env:
        (game,) = record_round(env, RandomActor(agent.num_actions), 400)
    K, T = 16, 4
    starts = np.arange(40, 340, 10)
    frames = np.stack([game.frames[t : t + K] for t in starts])
    actions = np.stack([game.actions[t : t + K - 1 + T] for t in starts])
    real = np.stack([game.frames[t + K : t + K + T] for t in starts]).astype(float)
    dreamt, _, _ = agent.imagine(frames, actions)
    assert (squares(dreamt - real) < squares(frames[:, -1:] - real)).all()


def squares(error: np.ndarray) -> np.ndarray:
    """Mean over starts and pixels, for each imagined step."""
    return (error**2).mean((0, 2, 3, 4))
