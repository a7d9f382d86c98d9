"""The table of games."""

import subprocess
import sys

import pytest

from edeline_jax.envs import GAMES, OTHER_GAMES, human_normalised_score, our_name


def test_there_are_26_games_with_their_own_ids():
    assert len(GAMES) == len({game.task_id for game in GAMES.values()}) == 26
    for name, game in GAMES.items():
        assert game.task_id == name.title().replace("_", "") + "-v5"
        assert game.random < game.human


def test_the_other_games_are_the_rest_of_envpools():
    from envpool.registration import registry  # the package's list has names alone

    specs = {id: spec for id, spec in registry.specs.items() if spec[0] == "envpool.atari" and id.endswith("-v5")}
    theirs = {spec[2]["task"]: id for id, spec in specs.items()}
    assert {name: game.task_id for name, game in (GAMES | OTHER_GAMES).items()} == theirs
    assert not set(GAMES) & set(OTHER_GAMES)


def test_the_other_scores_are_those_of_the_57_games():
    scores = {name: game for name, game in OTHER_GAMES.items() if game.random is not None}
    assert len(scores) == 57 - 26 and all(game.random < game.human for game in scores.values())
    assert human_normalised_score("zaxxon", 32.5) == 0 and human_normalised_score("zaxxon", 9173.3) == 1
    assert human_normalised_score("skiing", -10717.5) == pytest.approx(0.5)
    for name in ("donkey_kong", "catch", "none"):
        assert human_normalised_score(name, 1.0) is None


def test_human_normalised_score():
    assert human_normalised_score("pong", -20.7) == 0
    assert human_normalised_score("pong", 14.6) == 1
    # Published: EDELINE reaches 250.5 in Breakout.
    assert human_normalised_score("breakout", 250.5) == pytest.approx(8.639, abs=1e-3)


@pytest.mark.parametrize("spelling", ["{}NoFrameskip-v4", "{}Deterministic-v0", "ALE/{}-v5", "{}"])
def test_every_game_is_known_as_gymnasium_and_ale_spell_it(spelling):
    for name, game in (GAMES | OTHER_GAMES).items():
        assert our_name(spelling.format(game.task_id.removesuffix("-v5"))) == name


@pytest.mark.parametrize("name", ["breakout", "none", "MiniGrid-MemoryS7-v0", "Breakout-ram-v4", "Brekout-v5"])
def test_other_names_stay_as_they_are(name):
    assert our_name(name) == name


def test_importing_the_package_does_not_import_envpool():
    code = "import sys, edeline_jax.envs; sys.exit('envpool' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
