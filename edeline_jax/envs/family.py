"""What the registry knows of the environments of one kind."""

from collections.abc import Callable
from typing import NamedTuple

from edeline_jax.envs.vector import EnvSettings, VectorEnv


class Family(NamedTuple):
    """Environments of one kind.

    config: the name of their config file.
    title: what they are, in a few words.
    ids: their names in a config.
    make: see `make_env` in the registry.
    check: raises ValueError if an environment cannot be had with these settings.
    prefix: of further ids, where another package keeps the list; empty: there are none.
    measures: the names of the K numbers that a game of this id is measured by besides its return; most have none.
    figures: what the means of these measures over games come to, by name.
    shows_last_frame: whether a world model may learn from `Transition.final_obs` of a game that is over.
    """

    config: str
    title: str
    ids: tuple[str, ...]
    make: Callable[[EnvSettings, int, int, bool], VectorEnv]
    check: Callable[[EnvSettings], None] = lambda settings: None
    prefix: str = ""
    measures: Callable[[str], tuple[str, ...]] = lambda id: ()
    figures: Callable[[dict[str, float]], dict[str, float]] = lambda means: means
    shows_last_frame: bool = True

    def has(self, id: str) -> bool:
        """Whether an environment of that name belongs to the family."""
        return id in self.ids or bool(self.prefix and id.startswith(self.prefix))
