"""The compiled update programs of a run, and the number of updates per dispatch."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config
from edeline_jax.learning.drawing import Drawer
from edeline_jax.learning.setup import Setup, make_setup
from edeline_jax.learning.state import STATE_SPEC, TrainState
from edeline_jax.learning.updates import (
    Metrics,
    Source,
    actor_critic_places,
    train_actor_critic,
    train_world_model,
    world_model_places,
)
from edeline_jax.replay.buffer import Replay, replay_spec
from edeline_jax.runtime import cluster
from edeline_jax.runtime.devices import AXIS, abstract, lift

SECONDS_PER_DISPATCH = 5.0  # long enough to hide the host, short enough for a progress bar


class Dispatch(NamedTuple):
    """The result of one call of a program."""

    state: TrainState
    metrics: Metrics  # means, on the host
    num_updates: int
    seconds: float
    games: Sequence[Game] = ()  # that ended in real environments during the call


class Pace:
    """Chooses the number of updates per dispatch from the time of the last one."""

    def __init__(self) -> None:
        self.seconds_per_update = 0.0  # of the latest dispatch; 0 before the first
        self.num_dispatches = 0

    def length(self) -> int:
        """Updates in the next dispatch: first one, then about `SECONDS_PER_DISPATCH` worth; equal in all processes."""
        seconds = self.seconds_per_update
        return cluster.from_main(max(1, int(SECONDS_PER_DISPATCH / seconds)) if seconds else 1)

    def count(self, seconds: float, num_updates: int) -> None:
        """Records the seconds and updates of a dispatch."""
        self.seconds_per_update = seconds / num_updates
        self.num_dispatches += 1


class Program(Protocol):
    """A program that trains one network, in imagination or on real steps."""

    pace: Pace
    is_compiled: bool
    env_steps_per_update: int  # taken in real environments

    def compile(self, state: TrainState, replay: Replay) -> str:
        """Compiles for arrays of these shapes; returns a line to print. Called only if `is_compiled` is false."""

    def run(self, state: TrainState, replay: Replay, num_updates: int) -> Iterator[Dispatch]:
        """Yields after every dispatch until `num_updates` are done; `state` is donated.

        A dispatch ends early with the first update that has a metric which is not finite; to go on is up to the caller.
        """


class UpdateProgram:
    """Many updates of one network per dispatch, compiled once. See `Program`."""

    env_steps_per_update = 0

    def __init__(self, function: Callable, setup: Setup, mesh: Mesh):
        self._function, self._setup, self._mesh = function, setup, mesh
        self._compiled: jax.stages.Compiled | None = None
        self.pace = Pace()
        self.compile_seconds = 0.0

    def lower(self, state: TrainState, replay: Replay) -> jax.stages.Lowered:
        """Lowers the program for arrays (or shapes) like these.

        Only shapes are used: arrays also carry how they were made, which would change the compilation cache's key, and
        a resumed run would compile again.
        """
        specs = STATE_SPEC, replay_spec(len(replay.actions), self._mesh), P()
        jitted = _on_mesh(self._function, self._setup, self._mesh, specs)
        return jitted.lower(*abstract(self._mesh, specs, (state, replay, np.int32(1))))

    @property
    def is_compiled(self) -> bool:
        """Whether the first update can start without compiling."""
        return self._compiled is not None

    def compile(self, state: TrainState, replay: Replay) -> str:
        begin = time.perf_counter()
        self._compiled = self.lower(state, replay).compile()
        self.compile_seconds = time.perf_counter() - begin
        plans = f"it plans {self.temporary_bytes / 1e9:.2f} GB beside state and replay"
        return f"compiled in {self.compile_seconds:.0f} s; {plans}"

    @property
    def temporary_bytes(self) -> int:
        """Bytes that the compiled program needs on each device in addition to its arguments."""
        return self._compiled.memory_analysis().temp_size_in_bytes

    def run(self, state: TrainState, replay: Replay, num_updates: int) -> Iterator[Dispatch]:
        if not self.is_compiled:
            self.compile(state, replay)
        while num_updates > 0:
            begin, n = time.perf_counter(), min(num_updates, self.pace.length())
            state, metrics = self._dispatch(state, replay, n)
            seconds, done = time.perf_counter() - begin, int(metrics["num_updates"])
            self.pace.count(seconds, done)
            num_updates -= done
            yield Dispatch(state, metrics, done, seconds)

    def _dispatch(self, state: TrainState, replay: Replay, num_updates: int) -> tuple[TrainState, Metrics]:
        state, metrics = self._call(state, replay, num_updates)
        return state, jax.device_get(metrics)

    def _call(self, state: TrainState, source: Source, num_updates: int) -> tuple[TrainState, Metrics]:
        return self._compiled(state, source, cluster.place(np.int32(num_updates), NamedSharding(self._mesh, P())))


class HostUpdateProgram(UpdateProgram):
    """The same with a replay on the host: an update per call, whose steps are read and sent during the one before."""

    def __init__(
        self, function: Callable, drawer: Drawer, number: Callable[[TrainState], Any], setup: Setup, mesh: Mesh
    ):
        """`number` gives the number of the next update, from 0."""
        super().__init__(function, setup, mesh)
        self._drawer = drawer
        self._number = number

    def lower(self, state: TrainState, replay: Replay) -> jax.stages.Lowered:
        return super().lower(state, self._drawer.shapes(state.key, replay))

    def compile(self, state: TrainState, replay: Replay) -> str:
        self._drawer.draw(state.key, replay, 0)  # compiles that, too
        return super().compile(state, replay)

    def _dispatch(self, state: TrainState, replay: Replay, num_updates: int) -> tuple[TrainState, Metrics]:
        number, every = int(self._number(state)), []
        steps = self._drawer.send(replay, self._drawer.draw(state.key, replay, number))
        for left in reversed(range(num_updates)):
            number += 1
            places = self._drawer.draw(state.key, replay, number) if left else None  # before an update occupies devices
            state, metrics = self._call(state, steps, 1)
            if places is not None:
                steps = self._drawer.send(replay, places)
            every.append(jax.device_get(metrics))
            if not all(np.isfinite(x).all() for x in every[-1].values()):
                break
        means = jax.tree.map(lambda *values: np.mean(values, 0), *every)
        return state, means | {"num_updates": len(every)}


@functools.cache
def _on_mesh(function: Callable, setup: Setup, mesh: Mesh, specs: tuple) -> Callable:
    """The jitted program; runs in one process that learn alike share what it was traced to and compiled to.

    `specs` are those of state, replay and number of updates.
    """

    def per_device(state: TrainState, replay: Replay, num_updates: jax.Array) -> tuple[TrainState, Metrics]:
        return function(state, replay, num_updates, setup)

    return lift(per_device, mesh, specs, (STATE_SPEC, P()), donate=0)


def build_programs(agent: Agent, config: Config, mesh: Mesh) -> dict[str, UpdateProgram]:
    """The two update programs, by the name of the network they train."""
    setup = make_setup(agent, config, AXIS)
    networks = {
        "world_model": (train_world_model, world_model_places),
        "actor_critic": (train_actor_critic, actor_critic_places),
    }
    if config.replay.placement == "device":
        return {network: UpdateProgram(train, setup, mesh) for network, (train, _) in networks.items()}

    def on_host(network: str) -> HostUpdateProgram:
        train, places_of = networks[network]
        drawer = Drawer(places_of, getattr(setup, network).num_parts, setup, mesh)
        return HostUpdateProgram(train, drawer, lambda state: getattr(state, network).updates, setup, mesh)

    return {network: on_host(network) for network in networks}
