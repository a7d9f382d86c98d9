"""Worlds written in JAX behind the `VectorEnv` interface: all of them take a step in one call of a compiled program."""

import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.envs.game import Moment
from edeline_jax.envs.vector import Transition, check_actions


class World(Protocol):
    """One environment in two pure functions, which have gymnax's interface but for the outcome of a step.

    It is hashable; equal worlds share their compiled programs. Frames are uint8 [size,size,3].
    """

    size: int
    num_actions: int

    def reset(self, key: jax.Array) -> tuple[jax.Array, Any]:
        """A new game: its first frame and its state. The key is consumed."""

    def step(self, key: jax.Array, state: Any, action: jax.Array) -> tuple[Moment, Any]:
        """What the action leads to, and the state after it, also of a game that is over. The key is consumed."""


class InJit:
    """N copies of a world on the default device, each reset within the step that ends its game; see `VectorEnv`.

    Call n, counted from 1, which is a reset, consumes `fold_in(key, n)`.
    """

    def __init__(self, world: World, num_envs: int, seed: int) -> None:
        """`seed`: any integer >= 0."""
        self.world = world
        self.key = jax.random.key(np.random.SeedSequence(seed).generate_state(1)[0])
        self._calls = 0
        self._state: Any = None
        self.num_envs = num_envs
        self.num_actions = world.num_actions
        self.frame_shape = (world.size, world.size, 3)

    def reset(self) -> np.ndarray:
        """See `VectorEnv`."""
        frames, self._state = reset_all(self.world, self._next_key(), self.num_envs)
        return np.asarray(frames)

    def step(self, actions: np.ndarray) -> Transition:
        """See `VectorEnv`."""
        check_actions(actions, self)
        moment, frames, self._state = step_all(self.world, self._next_key(), self._state, np.asarray(actions, np.int32))
        moment, frames = jax.device_get((moment, frames))
        over = moment.end | moment.truncation
        return Transition(frames, *moment[:4], over, moment.measures)

    def close(self) -> None:
        """See `VectorEnv`."""
        self._state = None

    def _next_key(self) -> jax.Array:
        self._calls += 1
        return jax.random.fold_in(self.key, self._calls)


@functools.partial(jax.jit, static_argnums=(0, 2))
def reset_all(world: World, key: jax.Array, num_envs: int) -> tuple[jax.Array, Any]:
    """First frames and states of N new games. The key is consumed."""
    return jax.vmap(world.reset)(jax.random.split(key, num_envs))


@functools.partial(jax.jit, static_argnums=0)
def step_all(world: World, key: jax.Array, state: Any, actions: jax.Array) -> tuple[Moment, jax.Array, Any]:
    """A step of N games: what it led to, and frames and states after those that are over have begun anew.

    New games are made only in steps that end one. The key is consumed.
    """
    step_key, reset_key = jax.random.split(key)
    num_envs = len(actions)
    moment, state = jax.vmap(world.step)(jax.random.split(step_key, num_envs), state, actions)
    over = moment.end | moment.truncation

    def anew() -> tuple[jax.Array, Any]:
        fresh = reset_all(world, reset_key, num_envs)
        return jax.tree.map(lambda new, old: _where(over, new, old), fresh, (moment.frame, state))

    frames, state = jax.lax.cond(over.any(), anew, lambda: (moment.frame, state))
    return moment, frames, state


def _where(rows: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(rows.reshape(-1, *(1,) * (old.ndim - 1)), new, old)
