"""Atari 2600 games as the Atari 100k benchmark plays them."""

import numpy as np

from edeline_jax.envs.games import find_game
from edeline_jax.envs.pool import Pool


class Atari(Pool):
    """N copies of one game: RGB, area-resized, minimal action set, no sticky actions, no fire reset, raw rewards."""

    def __init__(
        self,
        *,
        game: str,
        num_envs: int,
        seed: int,
        size: int,
        frame_skip: int,
        noop_max: int,
        max_episode_frames: int,
        end_on_life_loss: bool,
    ) -> None:
        """Builds the emulators.

        Args:
            game: one of `games.GAMES`; an unknown name raises ValueError.
            num_envs: N.
            seed: any integer >= 0; it decides the numbers of no-ops, the emulator itself is deterministic.
            size: side of a frame in pixels.
            frame_skip: emulator frames per action; the last two are merged by their maximum.
            noop_max: a game starts with 1 to `noop_max` frames of no-op.
            max_episode_frames: emulator frames after which a game is truncated; those no-ops do not count.
            end_on_life_loss: whether a lost life sets `end` while the game goes on (training only).
        """
        super().__init__(
            find_game(game).task_id,
            _channels_last,
            num_envs=num_envs,
            seed=seed,
            size=size,
            end_on_life_loss=end_on_life_loss,
            img_height=size,
            img_width=size,
            gray_scale=False,
            stack_num=1,
            use_inter_area_resize=True,
            frame_skip=frame_skip,
            noop_max=noop_max,
            max_episode_steps=max_episode_frames // frame_skip,  # envpool counts actions
            use_fire_reset=False,
            episodic_life=False,
            repeat_action_probability=0.0,
            full_action_space=False,
            reward_clip=False,
        )


def _channels_last(obs: np.ndarray) -> np.ndarray:
    """uint8 [N,3,H,W] -> [N,H,W,3]."""
    return np.ascontiguousarray(obs.transpose(0, 2, 3, 1))
