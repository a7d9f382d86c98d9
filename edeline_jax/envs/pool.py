"""envpool behind the `VectorEnv` interface."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edeline_jax.envs.vector import Transition, check_actions, seeds


class Pool:
    """N copies of one envpool task, stepped in lockstep.

    By default envpool resets a finished game inside the *next* step, which ignores its action and is no transition.
    This class resets finished games in the step that ends them, with envpool's reset of chosen environments.
    envpool runs one thread per environment, at most one per core that the process may use.
    """

    def __init__(
        self,
        task_id: str,
        draw: Callable[[Any], np.ndarray],
        *,
        num_envs: int,
        seed: int,
        size: int,
        lives_end: bool = False,
        **settings: Any,
    ) -> None:
        """Builds the environments; `settings` go to envpool.

        Args:
            task_id: envpool's name of the task.
            draw: turns envpool's observations of N environments into frames, uint8 [N,size,size,3].
            num_envs: N.
            seed: any integer >= 0; equal seeds and actions give equal frames.
            size: side of a frame in pixels.
            lives_end: whether a lost life sets `end` (the game goes on).
        """
        import envpool  # here because it takes a second to import, and models and learners do not need it

        # envpool alone would give environment i the seed `seed + i`
        self._envs = envpool.make_gymnasium(task_id, num_envs=num_envs, env_seed=seeds(seed, num_envs), **settings)
        self._draw = draw
        self._lives_end = lives_end
        self._lives = np.zeros(num_envs, np.int32)
        self.num_envs = num_envs
        self.num_actions = int(self._envs.action_space.n)
        self.frame_shape = (size, size, 3)

    def reset(self) -> np.ndarray:
        """Starts a new game in every environment and returns the first frames, uint8 [N,H,W,3]."""
        obs, info = self._envs.reset()
        self._lives = _lives(info, self.num_envs)
        return self._draw(obs)

    def step(self, actions: np.ndarray) -> Transition:
        """Plays int [N] actions; raises ValueError if the shape is wrong or an action is outside [0, num_actions)."""
        check_actions(actions, self)  # envpool does not: a wrong length kills the process, an action reads anywhere
        obs, reward, terminated, truncated, info = self._envs.step(np.asarray(actions, np.int32))
        final_obs = self._draw(obs)
        lives = _lives(info, self.num_envs)
        end = terminated | (lives < self._lives) if self._lives_end else terminated
        game_over = terminated | truncated
        next_obs, self._lives = self._restart(game_over, final_obs, lives)
        return Transition(next_obs, final_obs, reward, end, truncated, game_over)

    def close(self) -> None:
        """Ends the emulators and their threads; envpool's own `close` would leave them running."""
        del self._envs

    def _restart(self, game_over: np.ndarray, obs: np.ndarray, lives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Resets the finished games and returns the frames and lives to continue with."""
        finished = np.flatnonzero(game_over)
        if not finished.size:
            return obs, lives
        first_obs, info = self._envs.reset(finished)
        obs, lives = obs.copy(), lives.copy()
        obs[finished] = self._draw(first_obs)
        lives[finished] = _lives(info, finished.size)
        return obs, lives


def _lives(info: dict[str, np.ndarray], num_envs: int) -> np.ndarray:
    """Remaining lives, int32 [N]; zeros for tasks without lives."""
    return info.get("lives", np.zeros(num_envs, np.int32))
