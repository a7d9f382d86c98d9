"""A world in JAX that is known on paper: a number that goes up by the action."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from edeline_jax.envs.game import Moment

LIMIT = 8  # steps


class Counting(NamedTuple):
    """A game begins at 0 to 3. It ends at `goal`, and is cut off after `LIMIT` steps; the reward is the new number."""

    size: int = 4
    num_actions: int = 5
    goal: int = 20

    def reset(self, key: jax.Array) -> tuple[jax.Array, Any]:
        number = jax.random.randint(key, (), 0, 4)
        return self.frame(number), {"number": number, "steps": jnp.zeros((), int), "noise": jnp.zeros(3)}

    def step(self, key: jax.Array, state: Any, action: jax.Array) -> tuple[Moment, Any]:
        number, steps = state["number"] + action, state["steps"] + 1
        end = number >= self.goal
        state = {"number": number, "steps": steps, "noise": jax.random.normal(key, (3,))}
        measures = jnp.stack([number.astype(float), steps.astype(float)])
        return Moment(self.frame(number), number.astype(float), end, ~end & (steps >= LIMIT), measures), state

    def frame(self, number: jax.Array) -> jax.Array:
        return jnp.full((self.size, self.size, 3), number, jnp.uint8)
