"""What a run came to, from known games."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs.atari import get_config
from edeline_jax.acting.scoreboard import Game
from edeline_jax.config import Config, pour
from edeline_jax.evaluation.tester import Evaluation
from edeline_jax.training.summary import is_finished, summarize
from edeline_jax.workdir.progress import Progress

GAMES = [Game(2.0, 10), Game(11.0, 30), Game(5.0, 53)]
PROGRESS = Progress(epoch=9, env_steps=100_000, final_epochs=3, wall_time=7.5)


def config(game: str) -> Config:
    values = get_config(game)
    values.seed = 17
    return pour(values)


def run(game: str, progress: Progress = PROGRESS) -> SimpleNamespace:
    """A run that stands at its end, as far as its summary is concerned."""
    return SimpleNamespace(config=config(game), updates=(31, 29), progress=progress)


@pytest.mark.parametrize(
    ("game", "score"),
    [("breakout", (6 - 1.7) / (30.5 - 1.7)), ("pong", (6 + 20.7) / (14.6 + 20.7)), ("boxing", (6 - 0.1) / 12.0)],
)
def test_the_mean_return_is_the_score(game: str, score: float) -> None:
    """Random play and the human's scores are those of Table 1 of the paper."""
    assert summarize(run(game), Evaluation(GAMES, None, {})) == {
        "id": game,
        "seed": 17,
        "world_model_updates": 31,
        "actor_critic_updates": 29,
        "return_mean": 6.0,
        "return_std": pytest.approx(14**0.5),
        "return_min": 2.0,
        "return_max": 11.0,
        "length_mean": 31.0,
        "num_games": 3,
        "human_normalised_score": pytest.approx(score),
        "progress": PROGRESS._asdict(),
    }


@pytest.mark.parametrize(("game", "score"), [("zaxxon", (6 - 32.5) / (9173.3 - 32.5)), ("donkey_kong", None)])
def test_a_game_beyond_the_26_is_normalised_where_its_scores_are_known(game: str, score: float | None) -> None:
    summary = summarize(run(game), Evaluation(GAMES, None, {}))
    assert summary["return_mean"] == 6.0 and summary.get("human_normalised_score") == pytest.approx(score)
    assert ("human_normalised_score" in summary) == (score is not None)


@pytest.mark.parametrize("game", ["catch", "none"])
def test_without_a_human_there_is_no_human_normalised_score(game: str) -> None:
    values = get_config("catch")
    values.env.update(id=game, size=20)
    values.collection.path_to_static_dataset = "somewhere" if game == "none" else ""
    end = SimpleNamespace(config=pour(values), updates=(31, 29), progress=PROGRESS)
    games = None if game == "none" else Evaluation(GAMES, None, {})
    expected = set() if game == "none" else {"return_mean", "return_std", "return_min", "return_max"}
    expected |= set() if game == "none" else {"length_mean", "num_games"}
    counters = {"id", "seed", "world_model_updates", "actor_critic_updates", "progress"}
    assert set(summarize(end, games)) == counters | expected


def test_a_run_is_finished_once_its_summary_says_so(tmp_path: Path) -> None:
    """And no longer when its schedule grows, or when it only wants another test."""
    values = get_config("breakout")
    values.training.num_final_epochs = 3
    assert not is_finished(tmp_path, pour(values))
    for progress, finished in (
        (PROGRESS, True),
        (PROGRESS._replace(final_epochs=2), False),
        (PROGRESS._replace(env_steps=99_999), False),
        (PROGRESS._replace(epoch_is_open=True), False),
    ):
        (tmp_path / "summary.json").write_text(
            json.dumps(summarize(run("breakout", progress), Evaluation(GAMES, None, {})))
        )
        assert is_finished(tmp_path, pour(values)) == finished
    (tmp_path / "summary.json").write_text(json.dumps(summarize(run("breakout"), Evaluation(GAMES, None, {}))))
    values.training.should = False
    assert not is_finished(tmp_path, pour(values))
