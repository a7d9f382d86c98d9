"""Recorded episodes to begin from: a dataset's, a run's, or a game of the policy's."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from edeline_jax.agent.reference import to_torch
from edeline_jax.agent.weights import Weights, read_agent
from edeline_jax.dataset import __main__ as dataset_program
from edeline_jax.dataset.episodes import Episode
from edeline_jax.play import library as module
from edeline_jax.play.library import Library, find_episodes
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path
from tests.in_process import call
from tests.play.stages import CONFIG, NETWORKS, L, library
from tests.random_params import random_params
from tests.runs import write_recordings

WEIGHTS = Weights(to_torch(random_params(NETWORKS, CONFIG), CONFIG), CONFIG)


def test_starts_are_every_place_with_enough_frames_before_it() -> None:
    places = [library().place(number) for number in range(-200, 200)]
    allowed = {(i, t) for i, episode in enumerate(library().episodes) for t in range(L - 1, len(episode.actions))}
    assert set(places) == allowed
    assert all(one != other for one, other in itertools.pairwise(places))
    start = library().start(1, 8)
    np.testing.assert_array_equal(start.frames, library().episodes[1].frames[9 - L : 9])
    np.testing.assert_array_equal(start.actions, library().episodes[1].actions[9 - L : 9])


def test_starts_have_what_memory_and_policy_see_before_them() -> None:
    """K frames before the newest, or all since the episode began."""
    for step, first in ((L - 1, 0), (6, 0), (9, 3)):
        start, episode = library(burn_in=6).start(1, step), library().episodes[1]
        np.testing.assert_array_equal(start.frames, episode.frames[first : step + 1])
        np.testing.assert_array_equal(start.actions, episode.actions[first : step + 1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_recordings(tmp_path / "recordings", [30, L, 20, 25])
    call(dataset_program.main, "import", tmp_path / "recordings", tmp_path / "data")
    return tmp_path


def test_a_dataset_gives_its_newest_episodes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, nowhere = to_path(str(folder / "data")), to_path(str(folder / "agent.safetensors"))
    found = find_episodes(nowhere, data, WEIGHTS)
    assert [len(episode.actions) for episode in found.episodes] == [30, 20, 25]  # no dream can begin in the short one
    monkeypatch.setattr(module, "MOST_STEPS", 40)
    found = find_episodes(nowhere, data, WEIGHTS)
    assert [len(episode.actions) for episode in found.episodes] == [20, 25] and found.source == str(data)


def test_a_run_gives_the_newest_that_it_has_collected(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = to_path(str(finished))
    weights = read_agent(source)
    whole = find_episodes(source, None, weights)
    steps = [sum(len(episode.actions) for episode in whole.episodes)]
    monkeypatch.setattr(module, "MOST_STEPS", 120)
    part = find_episodes(source, None, weights)
    steps.append(sum(len(episode.actions) for episode in part.episodes))
    assert 60 < steps[1] <= 120 < steps[0]
    np.testing.assert_array_equal(part.episodes[-1].frames, whole.episodes[-1].frames)


def test_without_any_the_policy_plays_a_game(tmp_path: Path) -> None:
    found = find_episodes(to_path(str(tmp_path / "agent.safetensors")), None, WEIGHTS)
    (episode,) = found.episodes
    assert len(episode.actions) == 9 and isinstance(found, Library) and isinstance(episode, Episode)
    columns = (episode.frames[:, -1, ::4] == (60, 200, 255)).all(-1).argmax(-1)
    moves = np.clip(columns[:-1] + episode.actions[:-1] - 1, 0, 4)
    np.testing.assert_array_equal(columns[1:], moves)  # actions lead to the next frame


def test_episodes_that_do_not_fit_are_refused(folder: Path) -> None:
    data = to_path(str(folder / "data"))
    larger = dataclasses.replace(CONFIG, env=dataclasses.replace(CONFIG.env, size=40))
    with pytest.raises(UserError, match=r"frames \(20, 20, 3\), the agent's are \(40, 40, 3\)"):
        find_episodes(data, data, WEIGHTS._replace(config=larger))
    call(dataset_program.main, "import", folder / "recordings", folder / "more", "--num_actions=4")
    with pytest.raises(UserError, match="4 actions, the agent has 3"):
        find_episodes(data, to_path(str(folder / "more")), WEIGHTS)
    without = dataclasses.replace(CONFIG, env=dataclasses.replace(CONFIG.env, id="none"))
    with pytest.raises(UserError, match="give --dataset=FOLDER"):
        find_episodes(to_path(str(folder / "agent.safetensors")), None, WEIGHTS._replace(config=without))
