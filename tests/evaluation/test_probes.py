"""Linear probes by value: on memories of which it is known what they hold, on real games, and as a program."""

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from edeline_jax.agent.networks import build_agent
from edeline_jax.agent.weights import Weights, read_weights, to_params
from edeline_jax.config import pour
from edeline_jax.envs import VectorEnv, make_env
from edeline_jax.evaluation.actors import RandomActor
from edeline_jax.evaluation.linear import Data, fit_classification, fit_regression, ridge
from edeline_jax.evaluation.memory import CHUNK, last_steps, whole_history
from edeline_jax.evaluation.probes import (
    DELAYS,
    ProbedGame,
    part_of,
    parts,
    probe_delays,
    probe_frames,
    probe_rewards,
    score_signs,
)
from edeline_jax.evaluation.probing import probe, small_frames
from edeline_jax.evaluation.recording import RecordedGame, record_games, record_round
from edeline_jax.evaluation.round_log import RoundLog
from edeline_jax.evaluation.rounds import Plan, Rounds
from edeline_jax.replay.frame import to_float
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path
from tests.acting.clock import Clock
from tests.evaluation.scripts import always
from tests.runs import module
from tests.test_earlier_version import FOLDER as EARLIER
from tests.tiny_config import get_config

AGENT = EARLIER / "agent.safetensors"


@pytest.fixture(scope="module")
def weights() -> Weights:
    return read_weights(to_path(str(AGENT)))


def games_of(num_games: int = 12, steps: int = 100, first: int = 3, seed: int = 0, **knowledge) -> list[ProbedGame]:
    """Random games; `knowledge` are functions of (game, random numbers) to features, [T - first, D]."""
    rng = np.random.default_rng(seed)
    games = []
    for _ in range(num_games):
        game = ProbedGame(
            {},
            rng.random((steps + 1, 6)),
            rng.integers(3, size=steps),
            rng.choice([-1, 0, 1], steps, p=[0.1, 0.7, 0.2]),
        )
        features = {name: of(game, rng)[first:] for name, of in knowledge.items()}
        games.append(game._replace(features=features))
    return games


def noise(game: ProbedGame, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((len(game.actions), 8))


def test_a_ridge_is_the_least_of_its_sum() -> None:
    """By the gradient of weighted errors and penalty at the solution, in the inputs' own standard units."""
    rng = np.random.default_rng(1)
    x, y, weight = rng.standard_normal((40, 5)) * [1, 9, 0.2, 3, 1] + 2, rng.standard_normal((40, 2)), rng.random(40)
    fitted = ridge(Data(x, y, weight), 0.3)
    share = weight / weight.sum()
    mean = share @ x
    z = (x - mean) / np.sqrt(share @ (x - mean) ** 2)
    error = fitted(x) - y
    np.testing.assert_allclose(z.T @ (share[:, None] * error) + 0.3 * fitted.weights, 0, atol=1e-12)
    np.testing.assert_allclose(share @ error, 0, atol=1e-12)


def test_an_input_that_never_changes_does_no_harm() -> None:
    x = np.random.default_rng(2).standard_normal((30, 3))
    y = x @ [[1.0], [2.0], [0.0]]
    x[:, 2] = 7.0
    fitted = fit_regression((x[:20], y[:20]), (x[20:], y[20:]))
    np.testing.assert_allclose(fitted(x), y, atol=1e-5)


def test_rare_classes_count_as_much_as_common_ones() -> None:
    """Two overlapping classes, one of them 30 times as common: the border is in the middle."""
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1], [30_000, 1_000])
    x = rng.standard_normal((len(y), 1)) + 2 * y[:, None]
    fitted = fit_classification((x[::2], y[::2]), (x[1::2], y[1::2]))
    border = np.linspace(-1, 3, 4001)[np.argmax(fitted(np.linspace(-1, 3, 4001)[:, None]).argmax(1) == 1)]
    assert border == pytest.approx(1, abs=0.1)


def test_what_is_linear_in_the_memory_is_read_and_what_is_not_there_is_not() -> None:
    mix = np.random.default_rng(4).standard_normal((7, 7))

    def linear(game: ProbedGame, rng: np.random.Generator) -> np.ndarray:
        return np.concatenate([game.frames[1:], game.signs[:, None]], 1) @ mix

    def indicators(game: ProbedGame, rng: np.random.Generator) -> np.ndarray:
        return np.eye(3)[game.signs + 1]

    games = games_of(linear=linear, indicators=indicators, noise=noise)
    frames, rewards = probe_frames(games), probe_rewards(games)
    assert frames["linear"]["r2"] == pytest.approx(1, abs=1e-6)
    assert abs(frames["noise"]["r2"]) < 0.02 and frames["mean_frame"]["r2"] == 0
    assert frames["last_frame"]["r2"] == pytest.approx(-1, abs=0.15)  # independent frames: twice the variance
    assert frames["mean_frame"]["mean_squared_error"] == pytest.approx(1 / 12, rel=0.1)
    perfect = {"balanced_accuracy": 1.0, "precision": 1.0, "recall": 1.0, "f1": pytest.approx(1)}
    assert rewards["indicators"] == perfect
    assert rewards["noise"]["balanced_accuracy"] == pytest.approx(1 / 3, abs=0.12)
    assert rewards["commonest_sign"] == {
        "balanced_accuracy": pytest.approx(1 / 3),
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
    }


def test_scores_of_signs() -> None:
    """Of four steps with a reward two are found; of four guesses two are right."""
    sign = np.array([0, 0, 0, 0, 1, 1, -1, -1])
    guess = np.array([0, 0, 0, 1, 1, 0, -1, 1])
    scores = score_signs(guess, sign, commonest=0)
    assert scores["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2 + 1 / 2) / 3)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (2 / 4, 2 / 4, pytest.approx(1 / 2))
    scores = score_signs(np.array([1, 0, 0]), np.array([1, 1, 0]), commonest=0)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (1, 1 / 2, pytest.approx(2 / 3))


def test_games_without_rewards_have_nothing_to_tell_apart() -> None:
    games = [game._replace(signs=0 * game.signs) for game in games_of(noise=noise)]
    assert probe_rewards(games) is None


def test_a_memory_of_eight_actions_knows_eight_and_no_more() -> None:
    def window(game: ProbedGame, rng: np.random.Generator) -> np.ndarray:
        past = np.concatenate([np.zeros((8, 3)), np.eye(3)[game.actions]])
        return np.concatenate([past[8 - k : len(past) - k] for k in range(1, 9)], 1)

    rows = probe_delays(games_of(num_games=20, steps=400, window=window), 3)
    assert [row["delay"] for row in rows] == list(DELAYS)
    for row in rows:
        assert row["chance"] == 1 / 3 and row["steps"] == 5 * (400 - max(3, row["delay"]))
        assert row["window"] == (1 if row["delay"] <= 8 else pytest.approx(1 / 3, abs=0.05)), row


def test_delays_longer_than_the_games_are_left_out() -> None:
    assert [row["delay"] for row in probe_delays(games_of(steps=9, noise=noise), 3)] == [1, 2, 4, 8]


def test_games_are_either_learnt_from_or_tested_on() -> None:
    """Features that name the game: what is fitted to some games does not know the others."""
    games = [game._replace(signs=np.full(100, n)) for n, game in enumerate(games_of(noise=noise))]
    split = parts(games, lambda game: game.signs)
    assert [sorted(set(part.tolist())) for part in split] == [[0, 1, 4, 5, 8, 9], [2, 6, 10], [3, 7, 11]]
    assert sum(map(len, split)) == 1200 and part_of(103) == "test"


def test_a_recorded_round_has_the_first_game_of_each_environment() -> None:
    actor = always(1, num_envs=3)
    actor.reset(seed=0)
    games = record_round(Clock([5, 3, 9]), actor, most_steps=7)
    assert [len(game.actions) for game in games] == [5, 3, 7]
    again = Clock([5, 3, 9])
    frames, played = [again.reset()], []
    for _ in range(7):
        played.append(again.step(np.ones(3, int)))
        frames.append(played[-1].final_obs)
    for i, game in enumerate(games):
        n = len(game.actions)
        np.testing.assert_array_equal(game.frames, [frame[i] for frame in frames[: n + 1]])
        np.testing.assert_array_equal(game.rewards, [step.reward[i] for step in played[:n]])
        assert (game.actions == 1).all()


def test_small_frames_are_means_of_grey_areas() -> None:
    frames = np.random.default_rng(5).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    grey = np.round(frames @ [0.299, 0.587, 0.114])
    areas = grey.reshape(2, 16, 4, 16, 4).mean((2, 4)).reshape(2, 256)
    np.testing.assert_allclose(small_frames(frames) * 255, areas, atol=1.01)


def test_states_are_those_of_the_memory(weights: Weights) -> None:
    """Of games longer and shorter than a chunk; after a burn-in the memory has seen L steps and nothing before."""
    rng = np.random.default_rng(6)
    games = [
        RecordedGame(rng.integers(0, 256, (n + 1, 20, 20, 3), dtype=np.uint8), rng.integers(3, size=n), np.zeros(n))
        for n in (CHUNK + 5, 3, 7)
    ]
    model, params = build_agent(weights.config, 3).world_model, to_params(weights, weights.config)["world_model"]
    whole, burnt_in = whole_history(params, model, games), last_steps(params, model, games, 4, 3)

    def h(frames: np.ndarray, actions: np.ndarray) -> np.ndarray:
        caches = model.init_memory(len(actions))
        return model.apply(params, to_float(jnp.asarray(frames)), actions, caches, method="embed")[0]

    assert [len(states) for states in whole] == [CHUNK + 5, 3, 7]
    assert [len(states) for states in burnt_in] == [CHUNK + 2, 0, 4]
    every = [x[:, : CHUNK + 5] for x in (games[0].frames[None], games[0].actions[None])]
    np.testing.assert_allclose(whole[0], h(*every)[0], atol=2e-5)
    windows = ((0, 3), (0, CHUNK + 4), (2, 6))
    last = [np.stack([getattr(games[i], name)[t - 3 : t + 1] for i, t in windows]) for name in ("frames", "actions")]
    np.testing.assert_allclose([burnt_in[i][t - 3] for i, t in windows], h(*last)[:, -1], atol=2e-5)
    np.testing.assert_allclose(whole[2][3], burnt_in[2][0], atol=2e-5)  # a game's first L steps are all there is
    long = last_steps(params, model, games, 4, 5)
    assert [len(states) for states in long] == [CHUNK + 2, 0, 4]
    np.testing.assert_allclose(long[2][:3], whole[2][3:6], atol=2e-5)  # all since the game began, if it is no more
    last = (getattr(games[2], name)[None, 1:7] for name in ("frames", "actions"))
    np.testing.assert_allclose(long[2][3], h(*last)[0, -1], atol=2e-5)
    assert np.abs(long[2][3] - whole[2][6]).max() > 1e-4


def test_the_games_are_those_of_an_exam(weights: Weights, tmp_path: Path) -> None:
    plan = Plan(num_games=7, num_envs=3, seed=5)

    def make(seed: int) -> VectorEnv:
        return make_env(weights.config.env, 3, seed, lives_end=False)

    log = RoundLog(to_path(str(tmp_path / "rounds.jsonl")), {})
    played = Rounds("random", RandomActor(3), make, plan).play(log, lambda line: None)
    recorded = [game for games in record_games(RandomActor(3), make, plan, 99, lambda: None) for game in games]
    assert [(game.rewards.sum(), len(game.actions)) for game in recorded] == [game[:2] for game in played]


@pytest.mark.ci
def test_the_program(tmp_path: Path) -> None:
    agent = shutil.copy(AGENT, tmp_path)
    flags = ("--probe", "--episodes=40", "--num_envs=8", "--seed=2")
    result = module("edeline_jax.evaluate", f"--agent={agent}", *flags)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    figures, said = tmp_path / "agent-seed-2-probe.json", result.stdout
    card = json.loads(figures.read_text())
    assert f"  {figures}\n" in said and "random: 40 games, 360 steps\n" in said
    assert card["steps"]["random"] == {"train": 120, "validation": 60, "test": 60}  # games of 9 steps, 6 of them used
    assert set(card["next_frame"]) == {"whole_history", "burn_in", "frame", "last_frame", "mean_frame"}
    assert set(card["reward_sign"]) == {"whole_history", "burn_in", "frame", "commonest_sign"}
    assert [row["delay"] for row in card["past_action"]] == [1, 2, 4, 8]
    line = next(line for line in said.splitlines() if line.startswith("memory, last 4 steps"))
    assert float(line.split()[4]) == pytest.approx(card["next_frame"]["burn_in"]["r2"], abs=1e-4)
    with Image.open(figures.with_suffix(".png")) as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_too_few_or_too_short_games_are_refused(tmp_path: Path) -> None:
    source = to_path(shutil.copy(AGENT, tmp_path))
    with pytest.raises(UserError, match=r"^--episodes=3: probes need 4 games or more"):
        probe(source, None, Plan(3, 2, 0), "", "", lambda: None, print)
    values = get_config()
    values.env.id, values.collection.path_to_static_dataset = "none", "data"
    with pytest.raises(UserError, match=r"config\.env\.id is none, so there is no game to play"):
        probe(source, pour(values), Plan(4, 2, 0), "", str(tmp_path / "new"), lambda: None, print)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_sign_that_only_the_test_has_is_told_wrong() -> None:
    """As one that the games to fit to have only in steps without features."""
    games = games_of(seed=8, indicators=lambda game, rng: np.eye(3)[game.signs + 1])
    signs = [np.where((game.signs == -1) & (n % 4 < 3), 0, game.signs) for n, game in enumerate(games)]
    signs[0][0] = -1
    scores = probe_rewards([game._replace(signs=sign) for game, sign in zip(games, signs, strict=True)])
    assert scores["indicators"]["balanced_accuracy"] == pytest.approx(2 / 3) and scores["indicators"]["recall"] < 1
