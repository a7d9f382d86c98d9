"""The recorded episodes that dreams begin from: a run's newest, a dataset's, or games that the policy plays first."""

import contextlib
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from etils.epath import Path

from edeline_jax.agent.reference import num_actions
from edeline_jax.agent.trained import Policy, trained_agent
from edeline_jax.agent.weights import Weights
from edeline_jax.config import Config
from edeline_jax.dataset.episodes import Episode, open_dataset
from edeline_jax.dataset.journal import Journal, episodes, files
from edeline_jax.envs import make_env
from edeline_jax.evaluation.recording import record_round
from edeline_jax.play.start import Start
from edeline_jax.runtime.errors import UserError
from edeline_jax.workdir.folder import RunFolder

MOST_STEPS = 10_000  # that are kept: 123 MB of frames of 64 x 64
FEWEST_STEPS = 300  # of a game that the policy plays, at the most
GOLDEN = (5**0.5 - 1) / 2  # its multiples spread starts evenly, however many there are


class Library(NamedTuple):
    """Episodes that are longer than `context`, the number L of frames that a dream needs to begin."""

    episodes: tuple[Episode, ...]
    context: int
    burn_in: int  # K, the frames before a start that memory and policy see if there are as many
    source: str  # where they are from, in words

    def start(self, episode: int, step: int) -> Start:
        """The start whose newest frame is this step of an episode, or the first one with enough frames before it."""
        step = max(step, self.context - 1)
        part = slice(max(0, step - self.burn_in), step + 1)
        whole = self.episodes[episode]
        label = f"episode {episode + 1}, step {step}"
        return Start(whole.frames[part], whole.actions[part].astype(np.int32), label)

    def place(self, number: int) -> tuple[int, int]:
        """Episode and step of a numbered start; any whole number is one, and neighbours are far from each other."""
        lengths = np.array([len(episode.actions) - self.context + 1 for episode in self.episodes])
        ends = lengths.cumsum()
        place = int((number + 1) * GOLDEN % 1 * ends[-1])
        episode = int(np.searchsorted(ends, place, "right"))
        return episode, place - int(ends[episode] - lengths[episode]) + self.context - 1


def find_episodes(source: Path, dataset: Path | None, weights: Weights) -> Library:
    """The newest of a dataset, of a run's replay, of the dataset that the run has learnt from, or else a game.

    Args:
      source: the run or the agent's file.
      dataset: if given, the only one that counts.
      weights: of the agent, which plays that game.

    Raises:
      UserError: there are none, or they do not fit the agent.
    """
    config = weights.config
    replay = RunFolder(source).replay
    learnt_from = config.collection.path_to_static_dataset
    if dataset is None and learnt_from and Path(learnt_from).exists():
        dataset = Path(learnt_from)
    if dataset is not None:
        found, words = _of_dataset(dataset, config, num_actions(weights.tensors)), str(dataset)
    elif replay.is_dir() and files(replay):
        found, words = _of_run(replay, config), f"{source.name}, as it was collected"
    elif config.has_env:
        found, words = _of_a_game(weights), "a game of the policy's"
    else:
        raise UserError(f"{source}: has no recorded episodes to begin a dream from, and no game: give --dataset=FOLDER")
    fitting = _newest(episode for episode in found if len(episode.actions) > config.context)
    if not fitting:
        raise UserError(f"{words}: no episode is longer than the {config.context} frames that a dream begins from")
    return Library(fitting, config.context, config.burn_in, words)


def _newest(found: Iterable[Episode]) -> tuple[Episode, ...]:
    """The newest of episodes that come oldest first, of `MOST_STEPS` or a bit more together."""
    kept: list[Episode] = []
    steps = 0
    for episode in found:
        kept.append(episode)
        steps += len(episode.actions)
        while steps - len(kept[0].actions) >= MOST_STEPS:
            steps -= len(kept.pop(0).actions)
    return tuple(kept)


def _of_dataset(folder: Path, config: Config, num_actions: int) -> Iterable[Episode]:
    dataset = open_dataset(folder)
    if dataset.num_actions > num_actions:
        raise UserError(f"{folder}: {dataset.num_actions} actions, the agent has {num_actions}")
    if dataset.frame_shape != config.frame_shape:
        raise UserError(f"{folder}: frames {dataset.frame_shape}, the agent's are {config.frame_shape}")
    left = list(itertools.accumulate(entry.steps for entry in reversed(dataset.entries)))
    few = sum(steps < MOST_STEPS for steps in left) + 1
    return (dataset.read(entry) for entry in dataset.entries[-few:])


def _of_run(replay: Path, config: Config) -> Iterable[Episode]:
    journal = Journal(replay, config.env.num_envs, config.frame_shape)
    found = files(replay)
    newest = [first for first, _, _ in found if (found[-1][1] - first) * config.env.num_envs <= MOST_STEPS]
    return (episode for _, episode in episodes(journal, found[-1][1], min(newest, default=found[-1][0])))


def _of_a_game(weights: Weights) -> Iterable[Episode]:
    actor = trained_agent(weights, Policy())
    with contextlib.closing(make_env(weights.config.env, 1, 0, False)) as env:
        (game,) = record_round(env, actor, FEWEST_STEPS)
    no = np.zeros(len(game.actions), bool)
    return [Episode(game.frames[:-1], game.actions, game.rewards, no, no)]
