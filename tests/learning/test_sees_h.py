"""A rollout of a policy that sees h, with the networks: beside one call of the memory for each life, and its loss."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.actor_critic.loss import _replay
from edeline_jax.actor_critic.rollout import RolloutState, Trajectory
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, pour
from edeline_jax.envs.observation import Observation
from edeline_jax.learning import updates
from edeline_jax.learning.setup import make_setup
from edeline_jax.replay.sampling import read
from edeline_jax.replay.segment import Segment, segments
from tests.learning.test_updates import KEY, replay
from tests.random_params import random_params
from tests.tiny_config import get_config

K, T = 7, 6  # steps of burn-in, and of a rollout: more than the horizon, 4


def _config() -> Config:
    values = get_config()
    values.agent.actor_critic.inputs = "frames_and_h"
    values.world_model_env.burn_in = K
    values.actor_critic.loss.backup_every = T
    return pour(values)


CONFIG = _config()
AGENT = build_agent(CONFIG, 3)
SETUP, PARAMS = make_setup(AGENT, CONFIG), random_params(AGENT, CONFIG)
L, B = CONFIG.context, CONFIG.actor_critic.training.batch_size


class Rolled(NamedTuple):
    """A rollout; `starts` are those of the beginning and of each step, [1 + T, B, K + 1]."""

    begin: RolloutState
    end: RolloutState
    trajectory: Trajectory
    starts: Segment


@pytest.fixture(scope="module")
def rolled() -> Rolled:
    @jax.jit
    def roll() -> Rolled:
        policy, world_model, number = PARAMS["actor_critic"], PARAMS["world_model"], np.int32(0)
        whole = read(replay(), updates.actor_critic_places(KEY, replay(), number, number, SETUP))
        whole = segments(whole, SETUP.frame_shape)
        begin = updates.begin_imagining(world_model, jax.tree.map(lambda x: x[0], whole), SETUP)
        starts, older = updates._starts(replay(), KEY, number, number, SETUP)
        restarts = jax.tree.map(lambda x: x[1:], starts)
        return Rolled(begin, *updates.imagine(policy, world_model, restarts, begin, KEY, SETUP, older), whole)

    return jax.device_get(roll())


class Life(NamedTuple):
    """Environment i from the start of this number to the last frame that it saw before the next one."""

    i: int
    start: int  # the step of the rollout in which it begins
    last: int


def lives(dead: np.ndarray) -> list[Life]:
    every = []
    for i in range(B):
        begins = [0, *(1 + np.flatnonzero(dead[:, i]))]
        every += [Life(i, *pair) for pair in zip(begins, [*np.subtract(begins[1:], 1), T], strict=True)]
    return every


def test_what_it_sees_is_the_memory_of_all_steps_since_the_start(rolled: Rolled) -> None:
    """Of every life in one call, from the first step of its episode on."""
    x, starts = rolled.trajectory, rolled.starts
    seen = jax.tree.map(lambda steps, end: np.concatenate([steps, end[None]]), x.obs, rolled.end.obs)
    every = lives(x.dead)
    frames, actions = (
        np.zeros((len(every), K + T + 1, *CONFIG.frame_shape), np.float32),
        np.zeros((len(every), K + T + 1), int),
    )
    mask = np.ones(actions.shape, bool)
    for n, (i, start, last) in enumerate(every):
        for whole, before, since in ((frames, starts.frames, seen.frames), (actions, starts.actions, x.actions)):
            whole[n, :K], later = before[start, i, :K], since[start : last + 1, i]
            whole[n, K : K + len(later)] = later
        mask[n, :K] = starts.mask[start, i, :K]
    model = AGENT.world_model
    embed = jax.jit(lambda *steps: model.apply(PARAMS["world_model"], *steps, method="embed")[0])
    h = np.where(mask[..., None], embed(frames, actions, model.init_memory(len(every)), mask), 0)
    before = np.pad(h, [(0, 0), (1, 0), (0, 0)])
    for known, (i, start, last) in zip(before, every, strict=True):
        np.testing.assert_allclose(seen.h[start : last + 1, i], known[K : K + last + 1 - start], rtol=1e-3, atol=1e-5)
        if start:
            np.testing.assert_allclose(x.burn_in.h[start - 1, i], known[K + 1 - L : K], rtol=1e-3, atol=1e-5)
    assert len(every) > 2 * B and not mask.all() and {life.last - life.start for life in every} >= {0, 2}


def test_the_loss_computes_over_again_what_was_played(rolled: Rolled) -> None:
    """Also after restarts, where the LSTM is burnt in on frames and h."""
    replayed = jax.jit(lambda x, lstm: _replay(PARAMS["actor_critic"], AGENT.actor_critic, x, lstm))
    logits, values = replayed(rolled.trajectory, rolled.begin.lstm)
    np.testing.assert_allclose(logits, rolled.trajectory.logits, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(values, rolled.trajectory.values, rtol=1e-3, atol=1e-4)


def test_no_gradient_reaches_h() -> None:
    network, rng = AGENT.actor_critic, np.random.default_rng(0)
    obs = Observation(*(jnp.asarray(rng.normal(size=x.shape), jnp.float32) for x in network.empty_obs(2, (20, 20, 3))))
    gradient = jax.grad(lambda obs: network.apply(PARAMS["actor_critic"], obs, network.init_state(2))[1].sum())(obs)
    assert gradient.frames.any() and not gradient.h.any()
