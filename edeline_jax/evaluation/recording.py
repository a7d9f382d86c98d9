"""Records games as they are played: frames, actions and rewards of every step."""

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from edeline_jax.envs import VectorEnv, env_seed
from edeline_jax.evaluation.actors import Actor
from edeline_jax.evaluation.rounds import PURPOSE, Plan


class RecordedGame(NamedTuple):
    """A game of T steps, or its beginning."""

    frames: np.ndarray  # uint8 [T + 1, H, W, 3]: action t is taken in frame t and leads to frame t + 1
    actions: np.ndarray  # int [T]
    rewards: np.ndarray  # float [T], raw


def record_games(
    actor: Actor, make_env: Callable[[int], VectorEnv], plan: Plan, most_steps: int, between: Callable[[], None]
) -> Iterator[list[RecordedGame]]:
    """The games of a plan, round by round: the same that `Rounds` plays."""
    for number, size in plan.rounds():
        seed = env_seed(plan.seed, PURPOSE, number)
        actor.reset(seed=seed)
        with contextlib.closing(make_env(seed)) as env:
            games = record_round(env, actor, most_steps, between)[:size]
        yield games


def record_round(
    env: VectorEnv, actor: Actor, most_steps: int, between: Callable[[], None] = lambda: None
) -> list[RecordedGame]:
    """The first game of each environment, or its first `most_steps` steps.

    Args:
      between: called before every step; may raise to stop.
    """
    obs = env.reset()
    frames, actions, rewards = [obs], [], []
    playing, lengths = np.ones(env.num_envs, bool), np.zeros(env.num_envs, int)
    while playing.any() and len(actions) < most_steps:
        between()
        actions.append(actor.act(obs))
        transition = env.step(actions[-1])
        frames.append(transition.final_obs)
        rewards.append(transition.reward)
        lengths += playing
        playing &= ~transition.game_over
        obs = transition.obs
    return [
        RecordedGame(*(np.stack([x[i] for x in steps]) for steps in (frames[: n + 1], actions[:n], rewards[:n])))
        for i, n in enumerate(lengths)
    ]
