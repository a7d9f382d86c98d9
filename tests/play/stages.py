"""Stages of Catch with a tiny agent, for sessions without a run."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.agent.networks import Agent, build_agent
from edeline_jax.config import Config, pour
from edeline_jax.dataset.episodes import Episode
from edeline_jax.play.actions import name_actions
from edeline_jax.play.library import Library
from edeline_jax.play.messages import parse
from edeline_jax.play.picture import decode
from edeline_jax.play.programs import Programs
from edeline_jax.play.session import Session
from edeline_jax.play.stage import Stage
from tests.random_params import random_params
from tests.tiny_config import get_config
from tests.world_model.rules import RuleModel, show_action

CONFIG = pour(get_config())
NETWORKS = build_agent(CONFIG, 3)
L = CONFIG.context


class ActionModel(RuleModel):
    """A dream whose frames show the latest action, and which never ends; its rewards are 1."""

    def outcome_logits(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch = h.shape[:-1]
        rewards, ends = jnp.array([0.0, 0.0, 50.0]), jnp.array([50.0, 0.0])
        return jnp.broadcast_to(rewards, (*batch, 3)), jnp.broadcast_to(ends, (*batch, 2))


@functools.cache
def library(burn_in: int = CONFIG.burn_in) -> Library:
    """Three episodes of noise, whose lengths and actions differ."""
    rng = np.random.default_rng(3)
    episodes = []
    for steps in (6, 11, 9):
        frames = rng.integers(0, 256, (steps, *CONFIG.frame_shape), dtype=np.uint8)
        rewards, no = rng.integers(-1, 2, steps).astype(np.float32), np.zeros(steps, bool)
        episodes.append(Episode(frames, rng.integers(0, 3, steps).astype(np.int32), rewards, no, no))
    return Library(tuple(episodes), L, burn_in, "noise")


def make_stage(config: Config = CONFIG, agent: Agent = NETWORKS) -> Stage:
    """With random weights, or with the rules of an agent's `ActionModel` and random weights for its policy.

    Those of the last layers are small, so that any reward, end and action may come.
    """
    params = random_params(NETWORKS, CONFIG)
    layers = params["world_model"]["params"]
    heads = jax.tree.map(lambda x: 0.2 * x, layers["rew_end_model"])
    params["world_model"] = {"params": layers | {"rew_end_model": heads}}
    layers = params["actor_critic"]["params"]
    actor = jax.tree.map(lambda x: 0.05 * x, layers["actor_linear"])
    params["actor_critic"] = {"params": layers | {"actor_linear": actor}}
    if isinstance(agent.world_model, RuleModel):
        params["world_model"] = {}
    actions = name_actions("catch", "catch", 3)
    return Stage(params, agent, config, actions, library(config.burn_in), Programs(params, agent, config))


def make_action_stage() -> Stage:
    return make_stage(agent=Agent(ActionModel(CONFIG.agent, show_action), NETWORKS.actor_critic))


def told(session: Session, kind: str, **values: object) -> list:
    """The session's answers to a message, decoded."""
    return [decode(answer) for answer in session.receive(parse(json.dumps({"kind": kind, **values})))]


def ticked(session: Session) -> tuple[dict, dict]:
    """Header and images of the picture that a tick brings."""
    header, images, _ = decode(session.tick()[-1])
    return header, images
