"""A policy that sees h beside a person who plays: in the dream, and in the real game."""

import jax
import numpy as np

from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.envs.observation import Observation
from edeline_jax.evaluation.memory import whole_history
from edeline_jax.evaluation.recording import RecordedGame
from edeline_jax.play.dream import Opinion, Temperatures, begin, step
from edeline_jax.play.real_game import RealGame
from edeline_jax.replay.frame import to_float
from tests.play.stages import library
from tests.random_params import random_params
from tests.tiny_config import get_config

values = get_config()
values.agent.actor_critic.inputs = "frames_and_h"
CONFIG = pour(values)
AGENT = build_agent(CONFIG, 3)
PARAMS = random_params(AGENT, CONFIG)


def test_in_the_dream_it_sees_the_h_of_which_the_frame_was_denoised() -> None:
    model, network = AGENT.world_model, AGENT.actor_critic
    think = jax.jit(lambda obs, lstm: network.apply(PARAMS["actor_critic"], obs, lstm))
    see = jax.jit(lambda *inputs: model.apply(PARAMS["world_model"], *inputs, method="see"))

    def assert_thinks(opinion: Opinion, obs: Observation, lstm: tuple) -> tuple:
        logits, value, lstm = think(obs, lstm)
        np.testing.assert_allclose(opinion.policy, jax.nn.softmax(logits[0]), rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(opinion.value, value[0], rtol=1e-3)
        return lstm

    start = library().start(*library().place(0))
    there = np.ones(len(start.frames), bool)
    dream, opinion = begin(PARAMS, AGENT, start.frames, start.actions, there, jax.random.key(0))
    h, memory, lstm = network.empty_h(1), model.init_memory(1), network.init_state(1)
    for frame, action in zip(to_float(start.frames)[:-1, None], start.actions[:-1, None], strict=True):
        lstm = think(Observation(frame, h), lstm)[2]
        h, memory = see(memory, frame, action)
    lstm = assert_thinks(opinion, Observation(to_float(start.frames[-1:]), h), lstm)
    for number, action in enumerate((2, 0, 1)):
        h, memory = see(memory, dream.world.frames[:, -1], np.array([action]))
        inputs = np.int32(action), jax.random.key(number), Temperatures(), CONFIG.world_model_env
        dream, glance = step(PARAMS, AGENT, dream, *inputs)
        lstm = assert_thinks(glance.opinion, Observation(dream.world.frames[:, -1], h), lstm)


def test_in_the_real_game_it_remembers_what_the_person_did() -> None:
    game = RealGame(PARAMS, AGENT, CONFIG, seed=3, lives_end=False)
    frames, actions = list(game.start.frames), list(game.start.actions[:-1])
    for action in (2, 0, 0, 2):
        real = game.step(action)
        frames.append(real.frame)
        actions.append(action)
    assert not real.end and len(frames) == len(actions) + 1 == CONFIG.context + 4
    record = RecordedGame(np.stack(frames), np.array(actions), None)
    (h,) = whole_history(PARAMS["world_model"], AGENT.world_model, [record])
    np.testing.assert_allclose(game._chooser._state.h[0], h[-1], rtol=1e-3, atol=1e-5)
    game.close()
