"""The rollout in real environments, against its definition, and how many updates are made of it."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest
from scipy.stats import chisquare

from edeline_jax.acting.real_environment import RealEnvironment
from edeline_jax.acting.scoreboard import Game
from edeline_jax.actor_critic.rollout import Trajectory
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, pour
from edeline_jax.learning.programs import Dispatch
from edeline_jax.learning.state import Learner, TrainState
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.replay.frame import to_float
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.training import model_free
from edeline_jax.training.model_free import ModelFreeProgram, train_model_free
from tests.acting.clock import Clock, pixels
from tests.acting.policies import random_policy, undecided, unrolled
from tests.tiny_config import get_config

CONFIG = pour(get_config())
AGENT = build_agent(CONFIG, 3)
NETWORK = AGENT.actor_critic
LENGTHS, CUT = np.array([5, 7, 3, 4, 6, 8, 9, 5]), (1, 2, 5)  # of the games; who has a time limit
ROLLOUTS, T = 3, CONFIG.actor_critic.loss.backup_every


def experience(env: RealEnvironment, params: dict, rollouts: int) -> tuple[list[Trajectory], list[LSTMState]]:
    """What each of some updates in a row would learn from."""
    trajectories, begins = [], []

    def update(learner: Learner, trajectory: Trajectory, lstm: LSTMState) -> tuple[Learner, dict]:
        trajectories.append(trajectory)
        begins.append(lstm)
        return learner._replace(updates=learner.updates + 1), {}

    learner = Learner(jax.tree.map(jax.numpy.asarray, params), None, np.int32(0))
    for _ in range(rollouts):
        learner, _ = train_model_free(learner, env, jax.random.key(0), update, AGENT, CONFIG)
    return trajectories, begins


@pytest.fixture(scope="module")
def env() -> RealEnvironment:
    return RealEnvironment(Clock(list(LENGTHS), CUT), AGENT)


def test_rollouts_in_a_row_are_one_long_play(env: RealEnvironment) -> None:
    """The LSTM begins anew with every episode; a step that ends one is valued by the frame that it led to."""
    policy = random_policy(NETWORK)
    trajectories, begins = experience(env, policy, ROLLOUTS)
    got = jax.tree.map(lambda *parts: np.concatenate(parts), *trajectories)
    game, step = np.divmod(np.arange(ROLLOUTS * T + 1)[:, None], LENGTHS)  # [time, environment]
    colours = pixels(np.arange(8), game, step)
    frames = np.broadcast_to(colours[:, :, None, None], (*step.shape, 20, 20, 3))
    logits, values, states = unrolled(policy, NETWORK, frames, (step == 0) | (step == 2))
    step, last, limited = step[:-1], step[:-1] == LENGTHS - 1, np.isin(np.arange(8), CUT)

    np.testing.assert_allclose(got.obs, to_float(frames[:-1]), atol=1e-6)
    np.testing.assert_array_equal(got.actions, logits[:-1].argmax(-1))
    np.testing.assert_array_equal(got.rewards, step + 1)
    np.testing.assert_array_equal(got.ends, (last & ~limited) | (step == 1))
    np.testing.assert_array_equal(got.truncations, last & limited)
    np.testing.assert_array_equal(got.dead, last | (step == 1))
    np.testing.assert_allclose(got.values, values[:-1], rtol=1e-4, atol=1e-4)

    # a life alone does not change the frame: the next one is the final one, but seen with the old memory
    final_colours = pixels(np.arange(8), game[:-1], step + 1)
    final_frames = np.broadcast_to(final_colours[:, :, None, None], frames[:-1].shape)
    expected = values[1:].copy()
    for t in range(ROLLOUTS * T):
        goes_on = np.zeros((1, 8), bool)
        final_value = unrolled(policy, NETWORK, final_frames[t : t + 1], goes_on, states[t])[1][0]
        expected[t] = np.where(last[t] | (step[t] == 1), final_value, expected[t])
    assert (np.abs(expected - values[1:])[got.dead] > 1e-3).mean() > 0.9
    np.testing.assert_allclose(got.bootstraps, expected, rtol=1e-4, atol=1e-4)

    dead = (last | (step == 1))[:, :, None]
    for number, begin in enumerate(begins):
        before = number * T - 1
        carried = [np.where(dead[before], 0, x) if number else np.zeros_like(x) for x in states[before]]
        for ours, theirs in zip(begin, carried, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)

    times = dict(zip(LENGTHS.tolist(), ROLLOUTS * T // LENGTHS, strict=True))
    played = [Game(n * (n + 1) / 2, n) for n in LENGTHS.tolist() for _ in range(times[n])]
    assert sorted(env.games) == sorted(played)


def test_the_actions_of_every_update_are_sampled_anew() -> None:
    policy = undecided(random_policy(NETWORK))
    first, second = experience(RealEnvironment(Clock([50] * 8), AGENT), policy, 2)[0]
    assert (np.asarray(first.actions) != second.actions).mean() > 0.3
    drawn = np.concatenate([first.actions, second.actions], None)
    assert chisquare(np.bincount(drawn, minlength=3)).pvalue > 1e-3


class Toy:
    """Updates that cost nothing: each plays one game, whose score is its number, and reports `values` as its loss."""

    def __init__(self, patch: pytest.MonkeyPatch, begin: int, values: dict[int, float]):
        self.env_steps: list[int] = []
        patch.setattr(model_free, "make_training_env", self._make_env)
        patch.setattr(model_free, "train_model_free", self._train)
        self._begin, self._values = begin, values
        self._program = ModelFreeProgram(AGENT, CONFIG, make_mesh(jax.devices()[:1]))
        patch.setattr(self._program.pace, "length", lambda: 4)

    def _make_env(self, config: Config, env_steps: int) -> Clock:
        self.env_steps.append(env_steps)
        return Clock([5] * 8)

    def _train(self, learner: Learner, env: RealEnvironment, *_) -> tuple[Learner, dict]:
        number = int(learner.updates)
        env.games.append(Game(number, 1))
        return learner._replace(updates=learner.updates + 1), {"loss": np.float32(self._values.get(number, number))}

    def run(self, num_updates: int) -> Iterator[Dispatch]:
        learner = Learner(None, None, np.int32(self._begin))
        return self._program.run(TrainState(None, learner, None, jax.random.key(0)), None, num_updates)


def test_dispatches_are_as_many_updates_as_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics are means; each game is handed over once, with the dispatch in which it ended."""
    toy = Toy(monkeypatch, begin=3, values={})
    dispatches = list(toy.run(10))
    assert [dispatch.num_updates for dispatch in dispatches] == [4, 4, 2]
    assert [dispatch.metrics["loss"] for dispatch in dispatches] == [4.5, 8.5, 11.5]
    assert dispatches[-1].state.actor_critic.updates == 13
    played = [[game.score for game in dispatch.games] for dispatch in dispatches]
    assert played == [[3, 4, 5, 6], [7, 8, 9, 10], [11, 12]]


def test_updates_stop_after_the_first_metric_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    first = next(Toy(monkeypatch, begin=0, values={1: np.inf}).run(10))
    assert first.num_updates == 2 and first.state.actor_critic.updates == 2 and not np.isfinite(first.metrics["loss"])


def test_a_resumed_run_has_games_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environments are asked for with the steps that were taken, and only once."""
    toy = Toy(monkeypatch, begin=3, values={})
    for _ in range(2):
        assert len(list(toy.run(2))) == 1
    assert toy.env_steps == [3 * T * 8]
