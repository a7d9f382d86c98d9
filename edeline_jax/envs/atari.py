"""Atari 2600 games as the Atari 100k benchmark plays them."""

import numpy as np

from edeline_jax.envs.family import Family
from edeline_jax.envs.games import EVERY_GAME
from edeline_jax.envs.pool import Pool
from edeline_jax.envs.vector import EnvSettings


class Atari(Pool):
    """N copies of one game: RGB, area-resized, minimal action set, no sticky actions, no fire reset, raw rewards."""

    def __init__(self, settings: EnvSettings, num_envs: int, seed: int, lives_end: bool) -> None:
        """Builds the emulators.

        Args:
          settings: the game and how it is played.
          num_envs: N.
          seed: any integer >= 0; it decides the numbers of no-ops, and in games such as Assault how they begin.
          lives_end: whether a lost life sets `end` while the game goes on (training only).
        """
        super().__init__(
            EVERY_GAME[settings.id].task_id,
            _channels_last,
            num_envs=num_envs,
            seed=seed,
            size=settings.size,
            lives_end=lives_end,
            img_height=settings.size,
            img_width=settings.size,
            gray_scale=False,
            stack_num=1,
            use_inter_area_resize=True,
            frame_skip=settings.frame_skip,
            noop_max=settings.noop_max,
            max_episode_steps=settings.max_episode_frames // settings.frame_skip,  # envpool counts actions
            use_fire_reset=False,
            episodic_life=False,
            repeat_action_probability=0.0,
            full_action_space=False,
            reward_clip=False,
        )


def _channels_last(obs: np.ndarray) -> np.ndarray:
    """uint8 [N,3,H,W] -> [N,H,W,3]."""
    return np.ascontiguousarray(obs.transpose(0, 2, 3, 1))


FAMILY = Family(
    config="atari",
    title="Atari 2600, first the 26 games of Atari 100k",
    ids=tuple(EVERY_GAME),
    make=Atari,
    shows_last_frame=False,  # as in the reference, whose wrapper leaves a game that is over before it reads the screen
)
