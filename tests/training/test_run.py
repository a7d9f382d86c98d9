"""A run in process, on an environment that keeps what was played in it: what collection does, and what tests do."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from edeline_jax.acting import collection
from edeline_jax.config import pour
from edeline_jax.envs import EnvSettings
from edeline_jax.evaluation import tester
from edeline_jax.learning.setup import Setup
from edeline_jax.learning.state import TrainState, state_shapes
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.runtime.interruption import Interruption
from edeline_jax.training import run as training_run
from edeline_jax.training import start, summary
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.opening import Workdir
from tests.acting.clock import Clock
from tests.acting.policies import with_habit
from tests.runs import rows
from tests.tiny_config import get_config

HABIT = 2  # what the actor always does
GAMES, FINAL_GAMES, TEST_ENVS, TRAIN_ENVS = 5, 7, 4, 8


class Made(NamedTuple):
    """An environment of the run, and what it was asked for with."""

    env: Clock
    num_envs: int
    seed: int
    lives_end: bool
    settings: EnvSettings

    @property
    def actions(self) -> np.ndarray:
        return np.concatenate(self.env.actions)


class Played(NamedTuple):
    """A run that collected 120 steps in two epochs, and what it did when it went on to 160."""

    folder: Path
    first: dict[str, Made]
    second: dict[str, Made] | None
    drawn: list[tuple[int, int]]  # epoch and number of test games of the pictures
    pages: list[tuple[int, bool]]  # pictures drawn before the page, and whether the summary was there


def blank_state(setup: Setup, key: jax.Array, places: Any) -> TrainState:
    """Zeros, which take no time to make."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), state_shapes(setup)._replace(key=None))._replace(key=key)


def play(folder: Path, patch: pytest.MonkeyPatch, epsilons: tuple[float, float], goes_on: bool) -> Played:
    """`epsilons` of collection and of tests. Nothing is learnt: the actor has its habit.

    A run that goes on is one in which the loss of a life ends an episode; the other is tested before it begins.
    """
    made: list[Made] = []

    def make_env(settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> Clock:
        made.append(Made(Clock([5, 7, 3, 4, 6, 8, 9, 5][:num_envs]), num_envs, seed, lives_end, settings))
        return made[-1].env

    for module in (collection, tester):
        patch.setattr(module, "make_env", make_env)
    patch.setattr(start, "init_state", blank_state)
    patch.setattr(training_run, "make_mesh", lambda: make_mesh(jax.devices()[:1]))
    patch.setattr(tester, "world_model_test", lambda *args: {"pixel_error": 1.0, "pixel_error_repeat_last": 2.0})
    drawn: list[tuple[int, int]] = []
    patch.setattr(training_run.Run, "draw", lambda run, test: drawn.append((run.progress.epoch, len(test.games))) or [])
    pages: list[tuple[int, bool]] = []
    written = RunFolder(folder).summary.exists
    patch.setattr(training_run.Run, "write_page", lambda run: pages.append((len(drawn), written())))
    patch.setattr(training_run, "SECONDS_BETWEEN_PICTURES", 0.0)
    values = get_config()
    values.env.update(done_on_life_loss=goes_on, frame_skip=3, noop_max=11, max_episode_frames=999)
    values.collection.epsilon, values.evaluation.epsilon = epsilons
    values.evaluation.update(every=1, num_envs=TEST_ENVS, num_episodes=GAMES, num_final_episodes=FINAL_GAMES)
    values.training.num_final_epochs = 0
    values.checkpointing.update(save_state_every=1000, save_agent_every=1000)  # only the end is saved
    for group in (values.world_model, values.actor_critic):
        group.training.start_after_epochs = 1000
    parts = []
    for steps in (120, 160)[: 1 + goes_on]:
        made.clear()
        values.collection.num_steps_total = steps
        run = training_run.Run(pour(values), Workdir(folder, None), Interruption(), lambda line: None)
        actor = run.state.actor_critic
        actor = actor._replace(params=jax.tree.map(jnp.asarray, with_habit(actor.params, HABIT)))
        run.state = run.state._replace(actor_critic=actor)
        if not goes_on:
            run.test(GAMES)
        run.train()
        summary.finish(run)
        run.close()
        assert len(made) == 2
        parts.append({"train" if each.num_envs == TRAIN_ENVS else "test": each for each in made})
    return Played(folder, *parts, *[None] * (not goes_on), drawn, pages)


@pytest.fixture(scope="module")
def exploring(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Collects at random and tests the actor."""
    with pytest.MonkeyPatch.context() as patch:
        return play(tmp_path_factory.mktemp("run"), patch, (1.0, 0.0), goes_on=True)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The other way around."""
    with pytest.MonkeyPatch.context() as patch:
        return play(tmp_path_factory.mktemp("run"), patch, (0.0, 1.0), goes_on=False)


def test_only_collection_ends_episodes_with_a_life_and_only_if_wanted(exploring: Played, settled: Played) -> None:
    assert (exploring.first["train"].lives_end, exploring.first["test"].lives_end) == (True, False)
    assert (settled.first["train"].lives_end, settled.first["test"].lives_end) == (False, False)
    for made in exploring.first.values():
        assert (made.settings.id, made.settings.size) == ("catch", 20)
        c = made.settings
        assert (c.frame_skip, c.noop_max, c.max_episode_frames) == (3, 11, 999)
    assert (exploring.first["train"].num_envs, exploring.first["test"].num_envs) == (TRAIN_ENVS, TEST_ENVS)


def assert_uniform(actions: np.ndarray) -> None:
    assert chisquare(np.bincount(actions, minlength=3)).pvalue > 1e-4


def test_collection_and_tests_explore_each_with_their_own_epsilon(exploring: Played, settled: Played) -> None:
    assert_uniform(exploring.first["train"].actions)
    assert set(exploring.first["test"].actions) == {HABIT}
    assert set(settled.first["train"].actions) == {HABIT}
    assert_uniform(settled.first["test"].actions)


def test_no_two_plays_are_alike(exploring: Played, settled: Played) -> None:
    """Collection, tests, and those of a run that goes on have their own games; the chances in them are new as well."""
    made = [*exploring.first.values(), *exploring.second.values()]
    assert len({each.seed for each in made}) == 4
    assert settled.first["train"].seed != settled.first["test"].seed  # though they begin at the same step
    first, second = (np.stack(part["train"].env.actions) for part in (exploring.first, exploring.second))
    assert len(first) == 15 and len(second) == 5
    assert (first[:5] != second).any()
    assert len({row.tobytes() for row in first}) > 12
    tests = np.stack(settled.first["test"].env.actions)
    assert (tests[:10] != tests[10:20]).any()  # before the first epoch and after it


def test_the_end_is_saved_though_nothing_is_due(exploring: Played) -> None:
    """Of both parts; the state of the first, or the second would have begun anew."""
    assert sorted(path.name for path in (exploring.folder / "agents").iterdir()) == ["2", "3"]
    assert len(exploring.second["train"].env.actions) == 5
    states = [path.name for path in (exploring.folder / "checkpoints").iterdir() if path.name.isdigit()]
    assert len(states) == 2


def test_the_numbers_of_games(exploring: Played) -> None:
    """A test after every epoch, one at the end; the games are those of the test environments."""
    lines = [row for row in rows(exploring.folder) if "test/num_games" in row]
    assert [(row["epoch"], row["test/num_games"]) for row in lines] == [
        *((1, GAMES), (2, GAMES), (2, FINAL_GAMES)),
        *((3, GAMES), (3, FINAL_GAMES)),
    ]
    # environments with games of 5, 7, 3, 4 steps: 5 games are 2, 1, 1, 1 of them, 7 are 2, 2, 2, 1
    assert [row["test/length_mean"] for row in lines] == pytest.approx([24 / 5, 24 / 5, 34 / 7, 24 / 5, 34 / 7])
    scores = {n: n * (n + 1) / 2 for n in (5, 7, 3, 4)}
    assert lines[0]["test/return_mean"] == pytest.approx((2 * scores[5] + scores[7] + scores[3] + scores[4]) / 5)
    assert (lines[0]["test/return_min"], lines[0]["test/return_max"]) == (6, 28)


def test_pictures_are_drawn_after_tests_and_at_the_end(exploring: Played) -> None:
    assert exploring.drawn == [(1, GAMES), (2, GAMES), (2, FINAL_GAMES), (3, GAMES), (3, FINAL_GAMES)]


def test_every_drawing_is_followed_by_a_page_and_the_last_one_by_that_of_a_finished_run(exploring: Played) -> None:
    """The summary of the first part stays where it is while the run goes on."""
    assert exploring.pages == [(1, False), (2, False), (3, True), (4, True), (5, True)]


def test_collected_games_are_counted(exploring: Played) -> None:
    """Of 10 steps in each environment in the first epoch; a lost life is not the end of a game."""
    line = next(row for row in rows(exploring.folder) if "collect/num_games" in row)
    lengths = [n for n in (5, 7, 3, 4, 6, 8, 9, 5) for _ in range(10 // n)]
    assert (line["epoch"], line["env_steps"], line["collect/num_games"]) == (1, 80, len(lengths))
    assert line["collect/length_mean"] == pytest.approx(np.mean(lengths))
    assert line["collect/return_mean"] == pytest.approx(np.mean([n * (n + 1) / 2 for n in lengths]))


def test_the_summary_is_the_last_test(exploring: Played) -> None:
    end = json.loads((exploring.folder / "summary.json").read_text())
    last = [row for row in rows(exploring.folder) if "test/return_mean" in row][-1]
    for name in ("return_mean", "return_std", "return_min", "return_max", "length_mean", "num_games"):
        assert end[name] == last[f"test/{name}"], name
    assert end["num_games"] == FINAL_GAMES and end["progress"]["env_steps"] == last["env_steps"] == 160


def test_a_run_introduces_itself_before_anything_takes_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are traced and a replay is read after it, which takes minutes at the paper's size."""
    said: list[str] = []

    def begin(*args: Any) -> None:
        assert said[0].startswith("edeline-jax: catch, seed 0, in ") and said[1].startswith("devices: ")
        raise KeyboardInterrupt

    monkeypatch.setattr(training_run, "start", begin)
    with pytest.raises(KeyboardInterrupt):
        training_run.Run(pour(get_config(), 8), Workdir(tmp_path, None), Interruption(), said.append)
