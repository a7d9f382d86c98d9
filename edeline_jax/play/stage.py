"""What all visitors share: the agent, its compiled programs, recorded episodes, and names of actions."""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
from etils.epath import Path

from edeline_jax.agent.networks import Agent, build_agent, inference_weights
from edeline_jax.agent.reference import num_actions
from edeline_jax.agent.weights import Weights, to_params
from edeline_jax.config import Config
from edeline_jax.envs.registry import find_family
from edeline_jax.nn.params import Params
from edeline_jax.play.actions import Action, idle_action, name_actions
from edeline_jax.play.dream import Temperatures
from edeline_jax.play.library import Library, find_episodes
from edeline_jax.play.programs import Programs
from edeline_jax.play.real_game import RealGame


class Stage(NamedTuple):
    """What all visitors share; none of it changes but the programs, of which there come to be more."""

    params: Params
    agent: Agent
    config: Config
    actions: tuple[Action, ...]
    library: Library
    programs: Programs

    @property
    def idle(self) -> int | None:
        """The action that does nothing; None if the game has none."""
        return idle_action(self.actions)

    def real_game(self, seed: int, lives_end: bool) -> RealGame:
        """A real game with this seed; see `RealGame`."""
        return RealGame(self.params, self.agent, self.config, seed, lives_end)


def set_stage(source: Path, dataset: Path | None, weights: Weights, say: Callable[[str], None]) -> Stage:
    """Builds networks, reads episodes, and compiles everything that play needs, with a progress line for each.

    Raises:
      UserError: the weights do not fit their config, or there are no episodes; see `find_episodes`.
    """
    config = weights.config
    params = to_params(weights, config)
    agent = build_agent(config, num_actions(weights.tensors))
    params = {name: inference_weights(getattr(agent, name), params[name]) for name in ("world_model", "actor_critic")}
    library = find_episodes(source, dataset, weights)
    say(f"{len(library.episodes)} episodes to begin from: {library.source}")
    family = find_family(config.env.id).config if config.has_env else ""
    actions = name_actions(config.env.id, family, agent.actor_critic.num_actions)
    stage = Stage(params, agent, config, actions, library, Programs(params, agent, config))
    _compile(stage, say)
    return stage


def _compile(stage: Stage, say: Callable[[str], None]) -> None:
    """Runs everything once, so that nobody waits for a compilation after the first key."""
    began = time.perf_counter()
    sampler, key = stage.programs.sampler, jax.random.key(0)
    say(f"compiling the world model ({sampler.words}) ...")
    dream, _ = stage.programs.begin(stage.library.start(*stage.library.place(0)), key)
    jax.block_until_ready(stage.programs.wait(sampler)(dream, 0, key, Temperatures()))
    if stage.config.has_env:
        say("compiling the policy, and starting a game ...")
        stage.real_game(0, lives_end=False).close()
    say(f"compiled in {time.perf_counter() - began:.1f} s")
