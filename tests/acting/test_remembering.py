"""A policy that sees h in real games: step by step it is the h of the whole episode so far."""

import itertools

import jax
import numpy as np
import pytest

from edeline_jax.acting.player import Play, Player
from edeline_jax.agent.networks import Agent, build_agent
from edeline_jax.agent.trained import Policy, TrainedAgent
from edeline_jax.config import Config, pour
from edeline_jax.envs.observation import Observation
from edeline_jax.evaluation.memory import whole_history
from edeline_jax.evaluation.recording import RecordedGame
from edeline_jax.replay.frame import to_float
from tests.acting.clock import Clock
from tests.acting.policies import random_policy
from tests.random_params import random_params
from tests.tiny_config import get_config

LENGTHS, CUT, STEPS = [5, 7, 3, 4, 6, 8, 9, 5], (1, 2, 5), 14


def config_of(memory: str) -> Config:
    values = get_config()
    values.agent.actor_critic.inputs = "frames_and_h"
    values.agent.recurrent_emb.update(memory=memory, window=4)
    return pour(values)


def networks(memory: str) -> tuple[Agent, dict]:
    """An agent whose policy knows what it wants, and its weights."""
    config = config_of(memory)
    agent = build_agent(config, 3)
    return agent, random_params(agent, config) | {"actor_critic": random_policy(agent.actor_critic)}


def played(agent: Agent, params: dict, epsilon: float) -> tuple[Play, np.ndarray]:
    """Frames, starts and actions [T, N, ...] of a game, and h [T, N, D] after each step."""
    player = Player(Clock(LENGTHS, CUT), agent.actor, epsilon, jax.random.key(5))
    plays, known = [], []
    for _ in range(STEPS):
        plays.append(player.step(params))
        known.append(np.asarray(player._chooser._state.h))
    columns = {name: np.stack([getattr(play, name) for play in plays]) for name in ("frames", "starts", "actions")}
    return plays[0]._replace(**columns), np.stack(known)


def of_whole_episodes(agent: Agent, params: dict, play: Play) -> np.ndarray:
    """h after each step, of one call for each episode, [T, N, D]."""
    places, games = [], []
    for i in range(len(LENGTHS)):
        for begin, stop in itertools.pairwise([*np.flatnonzero(play.starts[:, i]), STEPS]):
            places.append((slice(begin, stop), i))
            frames = play.frames[[*range(begin, stop), begin], i]  # the last one is not used
            games.append(RecordedGame(frames, play.actions[places[-1]], None))
    h = np.zeros((STEPS, len(LENGTHS), agent.world_model.config.recurrent_emb.mamba.d_model), np.float32)
    for place, states in zip(places, whole_history(params["world_model"], agent.world_model, games), strict=True):
        h[place] = states
    return h


@pytest.mark.parametrize("memory", ["mamba", "transformer"])
def test_it_is_the_h_of_the_whole_episode_and_of_what_was_done(memory: str) -> None:
    """Also where an action was none of the policy's; the memory begins anew with every episode."""
    agent, params = networks(memory)
    play, known = played(agent, params, epsilon=0.5)
    assert play.starts[1:].any(0).all()
    np.testing.assert_allclose(known, of_whole_episodes(agent, params, play), rtol=1e-3, atol=1e-5)


def test_a_trained_agent_acts_as_the_player_does() -> None:
    """It begins anew where it is told to."""
    agent, params = networks("mamba")
    play, _ = played(agent, params, epsilon=0.0)
    own = TrainedAgent(params, agent, config_of("mamba"), Policy(greedy=True))
    for frames, starts, actions in zip(play.frames, play.starts, play.actions, strict=True):
        own.reset(starts)
        np.testing.assert_array_equal(own.act(frames), actions)


def test_the_policy_sees_the_h_from_before_the_frame() -> None:
    agent, params = networks("mamba")
    play, known = played(agent, params, epsilon=0.0)
    before = np.where(play.starts[..., None], 0, np.concatenate([0 * known[:1], known[:-1]]))
    apply = jax.jit(lambda obs, lstm: agent.actor_critic.apply(params["actor_critic"], obs, lstm))

    def likeliest(every_h: np.ndarray) -> np.ndarray:
        lstm, actions = agent.actor_critic.init_state(len(LENGTHS)), []
        for frame, h, start in zip(play.frames, every_h, play.starts, strict=True):
            lstm = jax.tree.map(lambda x, start=start: np.where(start[:, None], np.float32(0), x), lstm)
            logits, _, lstm = apply(Observation(to_float(frame), h), lstm)
            actions.append(logits.argmax(-1))
        return np.stack(actions)

    np.testing.assert_array_equal(play.actions, likeliest(before))
    for wrong in (0 * known, known, np.concatenate([0 * known[:1], known[:-1]])):
        assert (likeliest(wrong) != play.actions).any()
