"""Any environment of Gymnasium that shows pictures and has discrete actions."""

import difflib
import functools
import importlib
import json
import os
from typing import Any

import numpy as np

from edeline_jax.envs.area import letterbox, resize
from edeline_jax.envs.family import Family
from edeline_jax.envs.game import Moment
from edeline_jax.envs.stepping import Games, make_games
from edeline_jax.envs.vector import EnvSettings

PREFIX = "gymnasium/"
MOST_ACTIONS = 4096  # of flattened ones: the networks have a row for each


class GymnasiumGame:
    """One environment; its observations if they are pictures, otherwise what it renders, as a square."""

    def __init__(self, settings: EnvSettings, seed: int) -> None:
        """Makes the environment; see `check` for the errors."""
        self._env, self._is_rendered = _make(settings)
        self._actions = Actions(self._env.action_space)
        self._settings = settings
        self._seed: int | None = seed
        self.num_actions = self._actions.number

    def reset(self) -> np.ndarray:
        """See `Game`."""
        obs, _ = self._env.reset(seed=self._seed)
        self._seed = None  # later games go on with its random numbers
        return self._frame(obs)

    def step(self, action: int) -> Moment:
        """See `Game`."""
        obs, reward, terminated, truncated, _ = self._env.step(self._actions.of(action))
        return Moment(self._frame(obs), float(reward), bool(terminated), bool(truncated))

    def close(self) -> None:
        """See `Game`."""
        self._env.close()

    def _frame(self, obs: Any) -> np.ndarray:
        picture = np.asarray(self._env.render() if self._is_rendered else obs)
        if picture.ndim == 2:
            picture = picture[:, :, None]
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3):
            raise ValueError(
                f"{self._settings.id} renders {picture.dtype} {list(picture.shape)}: expected uint8 [H,W,3]"
            )
        picture = np.broadcast_to(picture, (*picture.shape[:2], 3))
        square = letterbox(picture) if self._settings.resize == "letterbox" else picture
        return resize(square, self._settings.size)


class Actions:
    """The actions of an environment, numbered from 0; several choices at once are numbered by their combinations."""

    def __init__(self, space: Any) -> None:
        """Raises ValueError if they cannot be numbered."""
        from gymnasium import spaces

        if isinstance(space, spaces.Discrete):
            self._choices: tuple[int, ...] = (int(space.n),)
        elif isinstance(space, spaces.MultiDiscrete):
            self._choices = tuple(space.nvec.ravel().tolist())
        else:
            remedy = "wrap it so that its actions are Discrete or MultiDiscrete"
            if isinstance(space, spaces.Box):
                variant = """(of CarRacing: --config.env.kwargs='{"continuous": false}')"""
                remedy = f"take its discrete variant {variant}, or {remedy}"
            raise ValueError(f"its actions are {type(space).__name__}: {remedy}")
        self._space = space
        self.number = int(np.prod(self._choices, dtype=object))
        if self.number > MOST_ACTIONS:
            raise ValueError(
                f"it has {self.number:,} combinations of actions, more than {MOST_ACTIONS}: wrap it to have fewer"
            )

    def of(self, number: int) -> Any:
        """The action of this number, as the environment takes it."""
        choices = np.array(np.unravel_index(number, self._choices))
        if len(choices) == 1 and not hasattr(self._space, "nvec"):
            return int(choices[0] + self._space.start)
        return (choices.reshape(self._space.shape) + self._space.start).astype(self._space.dtype)


def make(settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> Games:
    """Environments of Gymnasium; `lives_end` has no effect, since Gymnasium does not know of lives."""
    del lives_end
    return make_games(functools.partial(GymnasiumGame, settings), settings, num_envs, seed)


@functools.cache
def check(settings: EnvSettings) -> None:
    """Makes the environment and resets it once.

    Raises:
      ValueError: Gymnasium or `module` is not installed, `kwargs` is no JSON object, there is no such environment, it
        cannot be made, it shows no pictures, or its actions are not discrete.
    """
    try:
        game = GymnasiumGame(settings, 0)
        game.reset()
        game.close()
    except ValueError:
        raise
    except Exception as error:  # of the environment, which may raise anything
        text = " ".join(str(error).split())[:200]
        raise ValueError(f"{settings.id} cannot be played ({type(error).__name__}: {text})") from error


def _make(settings: EnvSettings) -> tuple[Any, bool]:
    """The environment, and whether its pictures are those it renders."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame, which draws most of them, needs no screen
    gymnasium = _imported("gymnasium", "pip install 'edeline-jax[gymnasium]'")
    if settings.module:
        _imported(settings.module, "env.module must be a module that Python finds from here")
    id, kwargs = settings.id.removeprefix(PREFIX), _kwargs(settings.kwargs)
    try:
        spec = gymnasium.spec(id)
    except (gymnasium.error.Error, ImportError) as error:
        meant = difflib.get_close_matches(id, gymnasium.registry)
        remedy = f"did you mean {' or '.join(meant)}?" if meant else "env.module names the module that registers it"
        raise ValueError(f"Gymnasium has no environment {id!r}; {remedy}") from error
    env = gymnasium.make(spec, disable_env_checker=True, **kwargs)
    if _is_picture(env.observation_space):
        return env, False
    env.close()
    if "rgb_array" in env.metadata.get("render_modes", ()):
        return gymnasium.make(spec, disable_env_checker=True, render_mode="rgb_array", **kwargs), True
    raise ValueError(
        f"{settings.id} shows no pictures: its observations must be uint8 [H,W,3], or its render_modes have rgb_array"
    )


def _imported(name: str, remedy: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"{name} cannot be imported ({error}): {remedy}") from error


def _kwargs(text: str) -> dict[str, Any]:
    try:
        kwargs = json.loads(text)
    except ValueError as error:
        raise ValueError(f"kwargs is no JSON ({error}), got {text[:80]!r}") from error
    if not isinstance(kwargs, dict):
        raise ValueError(f"""kwargs must be a JSON object such as '{{"continuous": false}}', got {text[:80]!r}""")
    return kwargs


def _is_picture(space: Any) -> bool:
    """Whether observations are uint8 [H,W], [H,W,1] or [H,W,3]."""
    shape = space.shape or ()
    return space.dtype == np.uint8 and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3)))


FAMILY = Family(
    config="gymnasium",
    title="any environment of Gymnasium with pictures and discrete actions",
    ids=(),
    make=make,
    check=check,
    prefix=PREFIX,
)
