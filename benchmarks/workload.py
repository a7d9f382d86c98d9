"""The benchmarks' workload: a config with another batch size or precision, and a replay of random play."""

import dataclasses
import time
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from edeline_jax.agent.networks import Agent, build_agent
from edeline_jax.config import Config, pour, to_dict
from edeline_jax.envs import VectorEnv, count_actions, make_env
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import STATE_SPEC, TrainState, init_state, state_shapes
from edeline_jax.replay.buffer import Replay, num_shares, replay_of, replay_spec
from edeline_jax.replay.chunk import Chunk
from edeline_jax.runtime.devices import make_mesh, shardings


class Workload(NamedTuple):
    """A fresh agent and real experience, on the devices of a mesh."""

    config: Config
    agent: Agent
    mesh: Mesh
    state: TrainState
    replay: Replay
    env_frames_per_second: float


def resized(config: Config, batch: int, dtype: str) -> Config:
    """The config with another batch size (0: its own) and compute dtype."""
    config = dataclasses.replace(config, agent=dataclasses.replace(config.agent, compute_dtype=dtype))
    for group in ("world_model", "actor_critic") if batch else ():
        part = getattr(config, group)
        training = dataclasses.replace(part.training, batch_size=batch)
        config = dataclasses.replace(config, **{group: dataclasses.replace(part, training=training)})
    return config


def prepare(config: Config, num_steps: int, mesh: Mesh | None = None) -> Workload:
    """A fresh agent, and a replay that holds `num_steps` steps of random play; on all devices unless there is a mesh.

    Raises:
      ConfigError: the devices do not divide the batches.
    """
    mesh = mesh or make_mesh()
    config = pour(to_dict(config), mesh.size)
    agent = build_agent(config, count_actions(config.env))
    setup = make_setup(agent, config)
    state = init_state(setup, jax.random.key(config.seed), shardings(mesh, STATE_SPEC, state_shapes(setup)))
    env = make_env(config.env, config.env.num_envs, config.seed, config.env.done_on_life_loss)
    begin = time.perf_counter()
    chunk = random_play(env, num_steps // config.env.num_envs)
    rate = num_steps / (time.perf_counter() - begin)
    n = config.env.num_envs
    replay = replay_of(chunk, num_devices=num_shares(n, mesh))
    replay = jax.device_put(replay, shardings(mesh, replay_spec(n, mesh), replay))
    return Workload(config, agent, mesh, state, replay, rate)


def random_play(env: VectorEnv, num_steps: int) -> Chunk:
    """Steps of a uniformly random policy, `num_steps` in each environment."""
    rng = np.random.default_rng(0)
    steps = []
    frames = env.reset()
    starts = game_starts = np.ones(env.num_envs, bool)
    for _ in range(num_steps):
        actions = rng.integers(0, env.num_actions, env.num_envs)
        result = env.step(actions)
        own = result.reward, result.end, result.truncation, starts, game_starts
        steps.append((frames, actions.astype(np.int32), *own))
        frames = result.obs
        starts, game_starts = result.end | result.truncation, result.game_over
    return Chunk(*(np.stack(column, 1) for column in zip(*steps, strict=True)))
