"""The exam of a saved agent of Catch, from its files to its figures and films."""

import json
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image, ImageSequence

from edeline_jax.acting.player import Play, Player
from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import build_agent
from edeline_jax.agent.weights import Weights, read_weights, to_params
from edeline_jax.config import Config, pour
from edeline_jax.envs import env_seed, make_env
from edeline_jax.evaluation import exam
from edeline_jax.evaluation.exam import evaluate
from edeline_jax.evaluation.rounds import PURPOSE, Plan, Rounds
from edeline_jax.evaluation.scorecard import table
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path
from edeline_jax.workdir.folder import RunFolder
from tests.runs import assert_one_line_error, module
from tests.test_earlier_version import FOLDER as EARLIER
from tests.tiny_config import get_config

PLAN = Plan(num_games=10, num_envs=4, seed=3)


class Stopped(Exception):
    pass


def stop_after(steps: int) -> Callable[[], None]:
    left = iter(range(steps))

    def between() -> None:
        if next(left, None) is None:
            raise Stopped

    return between


@pytest.fixture(autouse=True)
def _without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with tarfile.open(EARLIER / "run.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "run"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(EARLIER / "agent.safetensors", tmp_path))


def take(
    source: Path,
    folder: Path | str = "",
    *,
    plan: Plan = PLAN,
    config: Config | None = None,
    json: Path | str = "",
    between: Callable[[], None] = lambda: None,
) -> tuple[dict, str]:
    """The tree of the figures, and what was said."""
    lines: list[str] = []
    card = evaluate(to_path(str(source)), config, plan, str(json), str(folder), between, lines.append)
    return card, "\n".join(lines)


def plays(weights: Weights, epsilon: float, number: int, seed: int) -> list[Play]:
    """Ten steps of a round, as a run's tests would play it."""
    config = weights.config
    seed = env_seed(seed, PURPOSE, number)
    network = build_agent(config, 3).actor_critic
    player = Player(make_env(config.env, 4, seed, lives_end=False), network, epsilon, jax.random.key(seed))
    params = to_params(weights, config)["actor_critic"]
    return [player.step(params) for _ in range(10)]


@pytest.mark.parametrize("epsilon", [0.0, 0.6])
def test_the_agent_plays_as_in_the_tests_of_its_run(file: Path, epsilon: float) -> None:
    values, plan = get_config(), Plan(num_games=30, num_envs=4, seed=3)
    values.evaluation.epsilon = epsilon
    card, _ = take(file, config=pour(values), plan=plan)
    weights = read_weights(to_path(str(file)))._replace(config=pour(values))
    games = [dict(game for play in plays(weights, epsilon, number, 3) for game in play.games) for number in range(8)]
    assert [Game(*pair) for pair in zip(card["agent"]["returns"], card["agent"]["lengths"], strict=True)] == [
        games[number // 4][number % 4] for number in range(30)
    ]
    assert card["agent"]["returns"] != card["random"]["returns"]
    again, _ = take(file, file.parent / "again", config=pour(values), plan=plan)
    assert again == card
    other, _ = take(file, config=pour(values), plan=plan._replace(seed=4))
    assert other["agent"]["returns"] != card["agent"]["returns"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an exam that nothing interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "imageio_ffmpeg", None)
        folder = tmp_path_factory.mktemp("whole")
        take(EARLIER / "agent.safetensors", folder)
    return folder


@pytest.mark.parametrize("steps", [4, 14, 26, 47, 60])
def test_an_interrupted_exam_goes_on_to_the_same_figures(whole: Path, tmp_path: Path, steps: int) -> None:
    """In the first round, the second, at the end of the third, during random play, during a film."""
    with pytest.raises(Stopped):
        take(EARLIER / "agent.safetensors", tmp_path, between=stop_after(steps))
    assert not list(tmp_path.glob("*.json"))
    left = {4: 54, 14: 45, 26: 36, 47: 9, 60: 0}[steps] + 27  # 9 steps in each round that is left, and of each film
    take(EARLIER / "agent.safetensors", tmp_path, between=stop_after(left))
    for file in whole.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name
    assert len(list(whole.iterdir())) == 5


def test_json_table_and_rounds_agree(file: Path) -> None:
    card, said = take(file)
    assert table(card) in said
    assert json.loads((file.parent / "agent-seed-3.json").read_text()) == card
    rounds = [json.loads(line) for line in (file.parent / "agent-seed-3.rounds.jsonl").read_text().splitlines()]
    for player in ("agent", "random"):
        for name in ("returns", "lengths"):
            assert [x for line in rounds if line["player"] == player for x in line[name]] == card[player][name]
        assert card[player]["return_mean"] == pytest.approx(np.mean(card[player]["returns"]))
        assert card[player]["num_games"] == card["num_games"] == 10
    assert (card["id"], card["seed"], card["num_envs"], card["published"]) == ("catch", 3, 4, {})


def test_another_agent_does_not_take_over_games(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the same one in another environment; a longer exam does take over the rounds of a shorter."""
    played: list[tuple[str, int]] = []
    plain = Rounds._round

    def counted(self: Rounds, number: int, *arguments: object) -> dict:
        played.append((self.name, number))
        return plain(self, number, *arguments)

    monkeypatch.setattr(Rounds, "_round", counted)
    monkeypatch.setattr(exam, "_film", lambda *arguments: {})
    everything = [(name, number) for name in ("agent", "random") for number in range(3)]
    values = get_config()
    for change in ({}, {"env.noop_max": 7}, {"evaluation.epsilon": 0.5}):
        values.update_from_flattened_dict(change)
        played.clear()
        take(file, config=pour(values))
        assert played == everything, change
    played.clear()
    take(file, config=pour(values), plan=PLAN._replace(num_games=12))
    assert played == [("agent", 2), ("random", 2)]


def test_the_films_are_of_the_best_the_median_and_the_worst_game(file: Path) -> None:
    card, said = take(file)
    returns = card["agent"]["returns"]
    weights = read_weights(to_path(str(file)))
    assert set(card["films"]) == {"best", "median", "worst"}
    for title, wanted in (("best", max(returns)), ("median", sorted(returns)[5]), ("worst", min(returns))):
        film = card["films"][title]
        assert film["return"] == wanted == returns[film["game"]]
        number, i = divmod(film["game"], 4)
        steps = plays(weights, 0.0, number, PLAN.seed)[:9]
        frames = [play.frames[i] for play in steps] + [steps[-1].transition.final_obs[i]]
        path = file.parent / film["files"][0]
        assert str(path) in said
        with Image.open(path) as gif:
            pictures = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(gif)]
        assert len(pictures) == len(frames) == 10  # the ball moves in every step
        for picture, frame in zip(pictures, frames, strict=True):
            assert np.abs(picture - np.kron(frame, np.ones((13, 13, 1), int))).max() <= 4  # 256 colours


def test_a_game_that_goes_otherwise_is_not_shown_as_that_game(file: Path) -> None:
    """As where rounds were played on another machine."""
    take(file)
    path = file.parent / "agent-seed-3.rounds.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["returns"][2] = 5.0
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    card, said = take(file)
    assert "game 6 went otherwise this time: no film of the best game" in said
    assert set(card["films"]) == {"median", "worst"} and card["agent"]["return_max"] == 5


def test_files_of_a_run_are_in_its_folder_and_named_by_epoch(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exam, "_film", lambda *arguments: {})
    epochs = sorted(int(path.name) for path in (run / "agents").iterdir())
    small = Plan(2, 4, 0)
    for source, epoch in ((run, epochs[-1]), (run / "agents" / str(epochs[0]), epochs[0])):
        card, _ = take(source, plan=small)
        assert card["agent_path"] == str(run / "agents" / str(epoch)) and card["num_envs"] == 2
        assert (run / "evaluation" / f"epoch-{epoch}-seed-0.json").exists()
    take(run, run / "films", json=run / "figures" / "mine.json", plan=small)
    assert sorted(path.name for path in (run / "figures").iterdir()) == ["mine.json", "mine.rounds.jsonl"]


def test_what_cannot_be_examined_is_named(run: Path, file: Path) -> None:
    shutil.rmtree(run / "agents")
    with pytest.raises(UserError, match=r"run/agents: no agent was saved yet"):
        take(run)
    values = get_config()
    values.env.id, values.collection.path_to_static_dataset = "none", "data"
    with pytest.raises(UserError, match=r"config\.env\.id is none, so there is no game to play"):
        take(file, config=pour(values))
    with pytest.raises(UserError, match="nothing: no such file or folder"):
        take(file.parent / "nothing")
    assert sorted(path.name for path in file.parent.iterdir()) == ["agent.safetensors", "run"]


def test_the_program(run: Path) -> None:
    """The page of the run is written anew, with these figures."""
    page = RunFolder(to_path(str(run))).page
    page.parent.mkdir(exist_ok=True)
    page.write_text("of before")
    result = module("edeline_jax.evaluate", f"--workdir={run}", "--episodes=5", "--num_envs=2", "--seed=1")
    assert result.returncode == 0 and result.stderr == "", result.stderr
    (path,) = (run / "evaluation").glob("*.json")
    card = json.loads(path.read_text())
    assert (card["num_games"], card["num_envs"], card["seed"]) == (5, 2, 1)
    assert table(card) in result.stdout and f"  {path}\n" in result.stdout
    assert "agent: 4 of 5 games, mean return " in result.stdout
    assert f"{card['agent']['return_mean']:,.2f}" in page.read_text() and result.stdout.endswith(f"  {page}\n")


def test_the_program_says_what_is_wrong(tmp_path: Path) -> None:
    assert_one_line_error(module("edeline_jax.evaluate"), "usage: python -m edeline_jax.evaluate (--workdir=RUN | ")
    assert_one_line_error(module("edeline_jax.evaluate", f"--workdir={tmp_path}"), f"{tmp_path}/config.json", "a run")
