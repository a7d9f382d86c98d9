"""The compiled programs of dreams, one for each setting of the sampler, made while the others play on."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.nn.params import Params
from edeline_jax.play.dream import Dream, Glance, Opinion, Temperatures, begin, step
from edeline_jax.play.start import Start

Step = Callable[[Dream, int, jax.Array, Temperatures], tuple[Dream, Glance]]


class Sampler(NamedTuple):
    """What a visitor may change of the sampler: steps, order (1 Euler, 2 Heun) and churn, as in the config."""

    steps: int
    order: int
    churn: float

    @property
    def words(self) -> str:
        """As a progress line names it."""
        name = "Euler" if self.order == 1 else "Heun"
        churn = f", churn {self.churn:g}" if self.churn else ""
        return f"{self.steps} {name} step{'s' * (self.steps > 1)}{churn}"


class Programs:
    """Compiles the step of a dream in a thread of its own, for one sampler at a time."""

    def __init__(self, params: Params, agent: Agent, config: Config):
        self._params = params
        self._agent = agent
        self._config = config
        self._steps: dict[Sampler, Future[Step]] = {}
        self._compiler = ThreadPoolExecutor(1, "compiler")

    @property
    def sampler(self) -> Sampler:
        """The config's."""
        sampler = self._config.world_model_env.diffusion_sampler
        return Sampler(sampler.num_steps_denoising, sampler.order, sampler.s_churn)

    def begin(self, start: Start, key: jax.Array) -> tuple[Dream, Opinion]:
        """The dream that begins at a start; see `dream.begin`."""
        length = self._config.burn_in + 1
        missing = length - len(start.frames)
        frames = np.pad(start.frames, ((missing, 0), (0, 0), (0, 0), (0, 0)))  # one program serves every start
        actions, there = np.pad(start.actions, (missing, 0)), np.arange(length) >= missing
        return begin(self._params, self._agent, frames, actions, there, key)

    def find(self, sampler: Sampler) -> Step | None:
        """The step with this sampler; None while it is being compiled, which the first call asks for."""
        step = self._steps.get(sampler) or self._ask(sampler)
        return step.result() if step.done() else None

    def wait(self, sampler: Sampler) -> Step:
        """The step with this sampler, compiled first if need be."""
        return (self._steps.get(sampler) or self._ask(sampler)).result()

    def close(self) -> None:
        """Ends the thread once it has compiled what it is compiling."""
        self._compiler.shutdown(cancel_futures=True)

    def _ask(self, sampler: Sampler) -> "Future[Step]":
        return self._steps.setdefault(sampler, self._compiler.submit(self._compile, sampler))

    def _compile(self, sampler: Sampler) -> Step:
        config = self._config.world_model_env
        changed = dataclasses.replace(
            config.diffusion_sampler, num_steps_denoising=sampler.steps, order=sampler.order, s_churn=sampler.churn
        )
        config = dataclasses.replace(config, diffusion_sampler=changed)
        length, shape, key = self._config.burn_in + 1, self._config.frame_shape, jax.random.key(0)
        start = (np.zeros((length, *shape), np.uint8), np.zeros(length, np.int32), np.ones(length, bool))
        dream, _ = jax.eval_shape(lambda *inputs: begin(self._params, self._agent, *inputs), *start, key)
        inputs = (np.int32(0), key, _as_arrays(Temperatures()))
        program = step.lower(self._params, self._agent, dream, *inputs, config).compile()

        def play(dream: Dream, action: int, key: jax.Array, temperatures: Temperatures) -> tuple[Dream, Glance]:
            return program(self._params, dream, np.int32(action), key, _as_arrays(temperatures))

        return play


def _as_arrays(temperatures: Temperatures) -> Temperatures:
    return Temperatures(*map(np.float32, temperatures))
