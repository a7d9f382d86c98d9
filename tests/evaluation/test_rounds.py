"""Games in rounds: what is counted, against the emulator and environments with known games."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from edeline_jax.acting.scoreboard import Game
from edeline_jax.config.schema import EnvConfig
from edeline_jax.envs import Transition, VectorEnv, make_env
from edeline_jax.evaluation.actors import RandomActor
from edeline_jax.evaluation.round_log import RoundLog
from edeline_jax.evaluation.rounds import Plan, Rounds, play_round
from edeline_jax.runtime.files import to_path
from tests.acting.clock import Clock, pixels
from tests.envs.emulator import Emulator
from tests.evaluation.scripts import Script, always

KEY = {"agent": "1", "seed": 0, "num_envs": 3}


class Changing(Clock):
    """The later games of an environment have rewards that are 100 higher."""

    def step(self, actions: np.ndarray) -> Transition:
        later = np.float32(100) * (self._game > 0)
        transition = super().step(actions)
        return transition._replace(reward=transition.reward + later)


def log(folder: Path, key: dict = KEY) -> RoundLog:
    return RoundLog(to_path(str(folder / "rounds.jsonl")), key)


def silent(line: str) -> None:
    pass


def play(folder: Path, make_env: Callable[[int], VectorEnv], plan: Plan, actor: object = None) -> list[Game]:
    return Rounds("agent", actor or always(1), make_env, plan).play(log(folder), silent)


def catch(num_envs: int) -> Callable[[int], VectorEnv]:
    settings = EnvConfig("catch", num_envs, 20, 4, 1, 108_000, False)
    return lambda seed: make_env(settings, num_envs, seed, lives_end=False)


@pytest.mark.parametrize("game", ["breakout", "pong"])
def test_returns_and_lengths_are_the_emulators(game: str) -> None:
    """Breakout to its end, with lost lives on the way; Pong, which takes longer, until the time is over."""
    actions = np.random.default_rng(3).integers(0, 4, (500, 2))
    settings = EnvConfig(game, 2, 64, 4, 1, 2_000, True)
    actor = Script(actions)
    actor.reset(seed=0)
    played = play_round(make_env(settings, 2, 0, lives_end=False), actor, [0, 1])
    lives = 0
    for i in range(2):
        emulator, score, steps = Emulator(game, 64, 4), 0.0, 0
        emulator.reset(noops=1)
        over = False
        while not over and steps < 500:
            outcome = emulator.step(actions[steps, i])
            score, steps, over = score + outcome.reward, steps + 1, outcome.game_over
            lives += outcome.life_lost
        assert played[i] == Game(score, steps) and score != 0
        assert over == (game == "breakout")
    assert lives > 6 or game == "pong"


def test_every_environment_plays_one_game_in_a_round(tmp_path: Path) -> None:
    """However short it is; games come in the order of their numbers, and the last round ends with the last of them."""
    environments: list[Clock] = []

    def make(seed: int) -> Clock:
        environments.append(Changing([2, 20, 3]))
        return environments[-1]

    games = play(tmp_path, make, Plan(num_games=7, num_envs=3, seed=0))
    assert games == [Game(n * (n + 1) / 2, n) for n in (2, 20, 3, 2, 20, 3, 2)]
    assert [len(env.actions) for env in environments] == [20, 20, 2]


def test_seeds_are_those_of_the_round_and_differ(tmp_path: Path) -> None:
    def seeds(folder: str, plan: Plan) -> tuple[list[int], list[int]]:
        given: list[int] = []
        actor = always(1)
        (tmp_path / folder).mkdir()
        play(tmp_path / folder, lambda seed: given.append(seed) or Clock([2, 3, 4]), plan, actor)
        return given, actor.seeds

    given, actors = seeds("0", Plan(9, 3, 0))
    assert given == actors and len(set(given)) == 3
    assert seeds("long", Plan(12, 3, 0))[0][:3] == given
    assert not set(seeds("1", Plan(9, 3, 1))[0]) & set(given)


@pytest.mark.parametrize("num_envs", [1, 16])
def test_short_games_are_not_counted_more_often(tmp_path: Path, num_envs: int) -> None:
    """Half of the games take 2 steps and the others 40; in the same time there are twenty times as many short ones."""

    def make(seed: int) -> Clock:
        return Clock(list(np.random.default_rng(seed).choice([2, 40], num_envs)))

    games = play(tmp_path, make, Plan(400, num_envs, 0))
    assert binomtest(sum(game.length == 2 for game in games), 400).pvalue > 1e-3


def test_the_number_of_environments_does_not_matter_to_the_score(tmp_path: Path) -> None:
    """Of a paddle that stays in the middle: the ball lands there in every fifth game, as it starts there."""
    scores = {}
    for num_envs in (1, 16):
        (tmp_path / str(num_envs)).mkdir()
        games = play(tmp_path / str(num_envs), catch(num_envs), Plan(320, num_envs, 7))
        assert {game.length for game in games} == {9}
        scores[num_envs] = [game.score for game in games]
        assert binomtest(scores[num_envs].count(1.0), 320, 0.2).pvalue > 1e-3
    assert scores[1][0] == scores[16][0]


def test_equal_seeds_play_equal_games(tmp_path: Path) -> None:
    def scores(folder: str, seed: int) -> list[float]:
        (tmp_path / folder).mkdir()
        return [game.score for game in play(tmp_path / folder, catch(4), Plan(40, 4, seed), RandomActor(3))]

    assert scores("a", 5) == scores("b", 5) != scores("c", 6)


def test_finished_rounds_are_not_played_again(tmp_path: Path) -> None:
    """But those of other agents, a line that was cut short, and a round with too few games."""
    first = play(tmp_path, lambda seed: Clock([2, 20, 3]), Plan(7, 3, 0))
    path = tmp_path / "rounds.jsonl"
    lines = path.read_text().splitlines()
    assert len(lines) == 3
    other = lines[1].replace('"agent": "1"', '"agent": "2"')
    path.write_text("\n".join(["[]", '{"agent": "1"}', lines[0], other, lines[2], lines[1][:-9]]))
    played: list[int] = []

    def make(seed: int) -> Clock:
        played.append(seed)
        return Clock([4, 5, 6])

    games = play(tmp_path, make, Plan(9, 3, 0))
    assert [game.length for game in games] == [2, 20, 3, 4, 5, 6, 4, 5, 6] and len(played) == 2
    assert first[:3] == games[:3]
    assert play(tmp_path, make, Plan(9, 3, 0)) == games and len(played) == 2
    assert play(tmp_path, make, Plan(4, 3, 0)) == games[:4] and len(played) == 2


def test_a_film_shows_the_frames_of_its_game(tmp_path: Path) -> None:
    """From the first to the last; of a long game every k-th."""
    rounds = Rounds("agent", always(1), lambda seed: Clock([2, 20, 3]), Plan(7, 3, 0))
    game, film = rounds.film(4, length=20, most=21)
    assert game == Game(210.0, 20) and film.shape == (21, 20, 20, 3) and film.dtype == np.uint8
    np.testing.assert_array_equal(film[:, 0, 0], pixels(1, 0, np.arange(21)))
    for most, steps in ((20, range(0, 21, 2)), (5, range(0, 21, 5)), (1, [0])):
        np.testing.assert_array_equal(rounds.film(4, 20, most)[1][:, 3, 7], pixels(1, 0, np.array(steps)))


def test_random_play_takes_every_action() -> None:
    actor = RandomActor(3)
    actor.reset(seed=1)
    actions = np.concatenate([actor.act(np.zeros((100, 2, 2, 3), np.uint8)) for _ in range(3)])
    assert min(np.bincount(actions, minlength=3)) > 70 and actions.max() == 2


def test_the_log_keeps_what_games_are_measured_by(tmp_path: Path) -> None:
    games = [Game(0.9, 20, (1.0, 100.0)), Game(0.0, 245, (0.0, -4.0))]
    log(tmp_path).add("agent", 0, games)
    log(tmp_path).add("agent", 1, [Game(1.0, 9)])
    assert log(tmp_path).games("agent", 0) == games and log(tmp_path).games("agent", 1) == [Game(1.0, 9)]
    assert "measures" not in (tmp_path / "rounds.jsonl").read_text().splitlines()[1]  # as before there were any
