"""Recall: the smallest world that asks for a memory, written in JAX. Its steps are compiled (`in_jit`)."""

import math
from typing import TYPE_CHECKING, NamedTuple

from edeline_jax.envs.family import Family
from edeline_jax.envs.game import Moment
from edeline_jax.envs.vector import EnvSettings, VectorEnv

if TYPE_CHECKING:
    import jax

LEFT, RIGHT = 0, 1  # cues and actions alike
SHORTEST = 2  # steps between the cue and the choice
FAR = 20  # steps: more than a dream of 15 steps sees that begins 3 steps after the cue
# The longest delay, steps, and from which on it ends with doors
DELAYS = {
    "recall_16": (16, 0),
    "recall_32": (32, 0),
    "recall_64": (64, 0),
    "recall_far_32": (32, FAR),
    "recall_far_64": (64, FAR),
}
# RGB: of the cues; of the corridor and of the walker in it; of the gate, and the border around the cue at the end
COLOURS = ((230, 60, 50), (50, 90, 230))
FLOOR, WALKER, BORDER = (40, 40, 40), (250, 220, 90), (240, 240, 240)


class Walk(NamedTuple):
    """The state of one game; scalars."""

    cue: "jax.Array"  # int32: LEFT or RIGHT
    delay: "jax.Array"  # int32: the position of the choice
    position: "jax.Array"  # int32: steps so far
    right: "jax.Array"  # bool: the action at the end was the cue's; false before it


class Recall(NamedTuple):
    """A corridor that is walked along by itself; see `in_jit.World`.

    The first frame shows a cue, red (left) or blue (right), and a walker, who goes from pixel to pixel in the order of
    reading and comes to the doors from the last one: each frame says what the next one is, but for the cue. After a
    delay, drawn log-uniformly from `shortest` to `longest` steps, two doors are seen: the action taken there, left or
    right, earns +1 if it is the cue's and -1 if not. All other actions do nothing. The frame after the choice shows the
    cue again, in a wide border, and with it the game ends. It is measured by whether the choice was right.

    A delay of fewer than `doors_from` steps ends with a gate instead, which earns +1 if the cue was blue and -1 if it
    was red, whatever the action. A world model learns from gates to remember, a policy nothing. So that a dream keeps
    step and takes no gate for a door, the walker of such corridors leaves a trail, white where a gate waits.
    """

    size: int
    longest: int
    shortest: int = SHORTEST
    doors_from: int = 0
    num_actions: int = 2

    def reset(self, key: "jax.Array") -> tuple["jax.Array", Walk]:
        """See `World`."""
        import jax
        import jax.numpy as jnp

        cue_key, delay_key = jax.random.split(key)
        low, high = math.log(self.shortest), math.log(self.longest + 1)
        delay = jnp.exp(jax.random.uniform(delay_key, minval=low, maxval=high)).astype(jnp.int32)
        delay = jnp.clip(delay, self.shortest, self.longest)  # exp and log round
        cue = jax.random.bernoulli(cue_key).astype(jnp.int32)
        walk = Walk(cue, delay, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
        return self._frame(walk), walk

    def step(self, key: "jax.Array", state: Walk, action: "jax.Array") -> tuple[Moment, Walk]:
        """See `World`."""
        import jax.numpy as jnp

        del key
        chooses = state.position == state.delay
        right = jnp.where(chooses, action == state.cue, state.right)
        earns = jnp.where(self.has_gate(state.delay), state.cue == RIGHT, right)
        reward = jnp.where(chooses, jnp.where(earns, 1.0, -1.0), 0.0)
        over = state.position > state.delay
        state = state._replace(position=state.position + 1, right=right)
        measures = right.astype(jnp.float32)[None]
        return Moment(self._frame(state), reward, over, jnp.zeros((), bool), measures), state

    def has_gate(self, delay: "int | jax.Array") -> "bool | jax.Array":
        """Whether corridors of this delay, steps, end with a gate."""
        return delay < self.doors_from

    def _frame(self, walk: Walk) -> "jax.Array":
        import jax.numpy as jnp

        rows, columns = jnp.mgrid[: self.size, : self.size]

        def drawn(where: "jax.Array", there: "jax.Array", elsewhere: "jax.Array") -> "jax.Array":
            return jnp.where(where[..., None], there[None, None], elsewhere[None, None])

        red, blue, floor, walker, border = jnp.array([*COLOURS, FLOOR, WALKER, BORDER], jnp.uint8)
        cue = jnp.where(walk.cue == LEFT, red, blue)
        edge = self.size // 4
        is_inner = (jnp.minimum(rows, columns) >= edge) & (jnp.maximum(rows, columns) < self.size - edge)
        left = walk.delay - walk.position
        ahead = rows * self.size + columns - (self.size**2 - left)  # pixels from the walker on
        is_walked = (ahead <= 0) if self.doors_from else (ahead == 0)
        has_gate = self.has_gate(walk.delay)
        walker = jnp.where(has_gate, border, walker)
        corridor = drawn(is_walked, walker, floor)
        doors = jnp.where(has_gate, border, drawn(columns < self.size // 2, red, blue))
        after = drawn(is_inner, cue, border)
        views = jnp.stack([drawn(is_walked, walker, cue), corridor, doors, after])
        at = -jnp.sign(left)  # before, at and after the doors
        return views[jnp.where(walk.position == 0, 0, 2 + at)]


def make(settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> VectorEnv:
    """Corridors of the length that the id says; `lives_end` has no effect, since there is one life."""
    from edeline_jax.envs.in_jit import InJit  # imports JAX, which a list of names does without

    del lives_end
    return InJit(corridors(settings.id, settings.size), num_envs, seed)


def corridors(id: str, size: int, delay: int | None = None) -> Recall:
    """The corridors of this name; all of one `delay` if it is given."""
    longest, doors_from = DELAYS[id]
    return Recall(size, delay or longest, delay or SHORTEST, doors_from)


def check(settings: EnvSettings) -> None:
    """Raises ValueError if the frames have fewer pixels than the longest corridor has steps."""
    longest, _ = DELAYS[settings.id]
    least = math.isqrt(longest - 1) + 1
    if settings.size < least:
        raise ValueError(f"size must be at least {least} in {settings.id}, got {settings.size}")


FAMILY = Family(
    config="recall",
    title="a cue to remember, written in JAX; the number is the longest delay, steps",
    ids=tuple(DELAYS),
    make=make,
    check=check,
    measures=lambda id: ("success",),
)
