"""MiniGrid and BabyAI beside the package `minigrid`: recorded frames, and live ones where it is installed."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from configs.minigrid import get_config
from edeline_jax.config import pour
from edeline_jax.envs import env_seed, make_env
from edeline_jax.envs.minigrid import LEVELS, MiniGrid, draw, level_id, tiles
from edeline_jax.runtime.errors import ConfigError

RECORDED = Path(__file__).parent.parent / "golden" / "worlds" / "minigrid_frames.npz"
LEFT, FORWARD = 0, 2


def level(name: str, num_envs: int, seed: int = 0, size: int = 64) -> MiniGrid:
    config = get_config(name)
    config.env.size = size
    return make_env(pour(config).env, num_envs, seed, lives_end=True)


def test_recorded_frames_are_drawn_to_the_bit() -> None:
    with np.load(RECORDED) as file:
        arrays = dict(file)
    ids = {name.rpartition("/")[0] for name in arrays}
    assert len(ids) == 10 and ids <= set(LEVELS)
    for id in ids:
        for size in (64, 112):
            np.testing.assert_array_equal(draw(size, arrays[f"{id}/symbolic"]), arrays[f"{id}/rgb{size}"], err_msg=id)


LIVE = (
    *("MiniGrid-MemoryS9-v0", "MiniGrid-DoorKey-8x8-v0", "MiniGrid-ObstructedMaze-Full-v0", "MiniGrid-Playground-v0"),
    *(
        "MiniGrid-LavaCrossingS9N2-v0",
        "MiniGrid-Dynamic-Obstacles-6x6-v0",
        "BabyAI-BossLevel-v0",
        "BabyAI-PutNextLocal-v0",
    ),
)


@pytest.mark.parametrize("id", LIVE)
def test_live_frames_of_the_package_are_drawn_to_the_bit(id: str) -> None:
    pytest.importorskip("minigrid", reason="the package that draws, to compare with")
    import gymnasium
    from minigrid.wrappers import RGBImgPartialObsWrapper

    env = RGBImgPartialObsWrapper(gymnasium.make(id, render_mode="rgb_array"), tile_size=16)
    rng, obs = np.random.default_rng(0), env.reset(seed=1)[0]
    for t in range(100):
        cells = env.unwrapped.gen_obs()["image"]
        frame = cv2.resize(obs["image"], (64, 64), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(draw(64, cells[None])[0], frame)
        obs, _, terminated, truncated, _ = env.step(rng.integers(env.action_space.n))
        if terminated or truncated:
            obs, _ = env.reset(seed=2 + t)


def test_a_cell_without_a_picture_is_named() -> None:
    assert tiles(np.array([[2, 5, 0, 0]])).shape == (1, 16, 16, 3)
    with pytest.raises(ValueError, match=r"no picture of the cell \[10, 0, 0, 0\]"):
        tiles(np.array([[2, 5, 0, 0], [10, 0, 0, 0]]))


def test_the_levels_are_envpools() -> None:
    import envpool

    newer = "MiniGrid-MultiRoom-N4-S5-v1"  # from envpool 1.2.7 on
    listed = (id for id in envpool.list_all_envs() if id.startswith(("MiniGrid-", "BabyAI-")))
    assert tuple(id for id in listed if id != newer) == LEVELS


def test_short_names() -> None:
    assert level_id("memory_s7") == "MiniGrid-MemoryS7-v0" and level_id("empty_5x5") == "MiniGrid-Empty-5x5-v0"
    assert level_id("baby_ai_go_to_red_ball") == "BabyAI-GoToRedBall-v0"
    assert level_id("obstructed_maze_full") == "MiniGrid-ObstructedMaze-Full-v0"
    for name in (*LEVELS, "memory_s8", "MiniGrid-MemoryS7-v1"):
        assert level_id(name) == name
    with pytest.raises(
        ConfigError, match=r"config\.env: unknown environment 'memory_s8'; did you mean MiniGrid-Memory"
    ):
        pour(get_config("memory_s8"))


def test_the_goal_is_a_success_and_the_end_of_time_is_none() -> None:
    """Empty-5x5 from its corner: turning left for ever, or two steps to the wall, right, two to the goal."""
    env = level("empty_5x5", 2)
    first = env.reset()
    paths = np.full((100, 2), LEFT)
    paths[:5, 0] = FORWARD, FORWARD, 1, FORWARD, FORWARD
    for t, actions in enumerate(paths, start=1):
        step = env.step(actions)
        assert step.game_over.tolist() == [t == 5, t == 100] or t > 5
        if t == 5:
            assert step.reward.tolist() == [pytest.approx(1 - 0.9 * 5 / 100), 0] and step.end.tolist() == [True, False]
            assert step.measures[0].tolist() == [1] and not step.truncation.any()
            np.testing.assert_array_equal(step.obs[0], first[0])  # a new game in the same corner
    assert (step.end[1], step.truncation[1], step.reward[1], step.measures[1].tolist()) == (False, True, 0, [0])


def test_time_limits_are_the_packages() -> None:
    for name, limit in (("memory_s7", 5 * 7**2), ("memory_s9", 5 * 9**2)):
        env = level(name, 1)
        env.reset()
        steps = next(t for t in range(1, 1000) if env.step(np.array([LEFT])).truncation[0])
        assert steps == limit


def test_same_seed_same_frames() -> None:
    def frames(seed: int) -> np.ndarray:
        env = level("memory_s9", 4, seed)
        return np.stack([env.reset(), *(env.step(np.full(4, action)).obs for action in (2, 2, 0, 2))])

    np.testing.assert_array_equal(frames(3), frames(3))
    assert (frames(3) != frames(4)).any()


def random_returns(num_games: int, seed: int) -> Iterator[float]:
    """Of random play in the package itself."""
    import gymnasium
    import minigrid  # noqa: F401 (registers the levels)

    env, rng = gymnasium.make("MiniGrid-Empty-5x5-v0"), np.random.default_rng(seed)
    for game in range(num_games):
        env.reset(seed=env_seed(seed, game))
        over = False
        while not over:
            _, reward, terminated, truncated, _ = env.step(rng.integers(7))
            over = terminated or truncated
        yield reward


def test_random_play_returns_what_it_does_in_the_package() -> None:
    pytest.importorskip("minigrid", reason="the package itself, to compare with")
    env, rng, ours = level("empty_5x5", 50, size=32), np.random.default_rng(0), []
    env.reset()
    while len(ours) < 200:
        step = env.step(rng.integers(7, size=50))
        ours += step.reward[step.game_over].tolist()
    theirs = [*random_returns(200, seed=1)]
    error = np.hypot(np.std(ours), np.std(theirs)) / 200**0.5
    assert abs(np.mean(ours) - np.mean(theirs)) < 3 * error
