"""Plays at random in our environments and in the packages themselves: both must return the same.

    python -m benchmarks.random_play GAMES CONFIG [CONFIG ...]     such as 200 minigrid:memory_s7 gymnasium:CartPole-v1

Prints mean return and length with their standard errors, ours and the package's, and the difference in standard errors.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edeline_jax.config import pour
from edeline_jax.config.files import load
from edeline_jax.envs import make_env
from edeline_jax.envs.vector import EnvSettings

Played = tuple[float, int]  # a game's return and length
Step = Callable[[int], tuple[float, bool]]  # action -> reward, whether the game is over


def main(games: str, *configs: str) -> None:
    """Prints a row for every config."""
    print("| world | games | our return | package's return | z | our length | package's length | z |")
    print("|---|---|---|---|---|---|---|---|")
    for name in configs:
        env = pour(load(name)).env
        played = [np.array([*play(env, int(games))]) for play in (ours, package)]
        columns = [column for i in (0, 1) for column in compared(played[0][:, i], played[1][:, i])]
        print(f"| {name} | {games} | {' | '.join(columns)} |", flush=True)


def compared(a: np.ndarray, b: np.ndarray) -> tuple[str, str, str]:
    """Both means with their standard errors, and how many of the difference's they are apart."""
    errors = [x.std(ddof=1) / len(x) ** 0.5 for x in (a, b)]
    words = [f"{x.mean():.3f} ± {error:.3f}" for x, error in zip((a, b), errors, strict=True)]
    apart = a.mean() - b.mean()
    return *words, f"{apart / np.hypot(*errors):+.1f}" if apart else "0"


def ours(settings: EnvSettings, games: int) -> Iterator[Played]:
    """Games in one of our environments."""
    env = make_env(settings, 1, 0, lives_end=False)
    env.reset()

    def step(action: int) -> tuple[float, bool]:
        transition = env.step(np.array([action]))
        return transition.reward.item(), transition.game_over.item()

    for game in range(games):
        yield played(step, env.num_actions, game)
    env.close()


def package(settings: EnvSettings, games: int) -> Iterator[Played]:
    """Games in the package itself."""
    family, _, name = settings.id.rpartition("/")
    kinds = {"vizdoom": doom, "gymnasium": plain, "crafter": crafter, "craftax": craftax}
    begin = kinds.get(family or name, minigrid)(name)
    for game in range(games):
        yield played(*begin(game), 10_000 + game)


def played(step: Step, num_actions: int, seed: int) -> Played:
    """A game of uniformly random actions."""
    rng, score, length, over = np.random.default_rng(seed), 0.0, 0, False
    while not over:
        reward, over = step(int(rng.integers(num_actions)))
        score, length = score + reward, length + 1
    return score, length


def minigrid(id: str) -> Callable[[int], tuple[Step, int]]:
    """The package `minigrid`."""
    import minigrid  # noqa: F401 (registers its levels)

    return plain(id)


def plain(id: str) -> Callable[[int], tuple[Step, int]]:
    """Gymnasium."""
    import gymnasium

    env = gymnasium.make(id)

    def step(action: int) -> tuple[float, bool]:
        _, reward, terminated, truncated, _ = env.step(action)
        return float(reward), terminated or truncated

    def begin(game: int) -> tuple[Step, int]:
        env.reset(seed=game)
        return step, int(env.action_space.n)

    return begin


def crafter(id: str) -> Callable[[int], tuple[Step, int]]:
    """The package `crafter`."""
    import crafter

    env = crafter.Env(seed=1)

    def begin(game: int) -> tuple[Step, int]:
        env.reset()
        return lambda action: env.step(action)[1:3], 17

    return begin


def craftax(id: str) -> Callable[[int], tuple[Step, int]]:
    """The package `craftax`."""
    import jax
    from craftax.craftax_env import make_craftax_env_from_name

    env = make_craftax_env_from_name("Craftax-Classic-Pixels-v1", auto_reset=False)

    def begin(game: int) -> tuple[Step, int]:
        key = jax.random.key(game)
        _, state = env.reset(key)
        steps = 0

        def step(action: int) -> tuple[float, bool]:
            nonlocal state, steps
            steps += 1
            _, state, reward, over, _ = env.step(jax.random.fold_in(key, steps), state, action)
            return float(reward), bool(over)

        return step, 17

    return begin


def doom(scenario: str) -> Callable[[int], tuple[Step, int]]:
    """The package `vizdoom`, by its own rewards; they are the paper's in defend_the_center alone."""
    import vizdoom

    game: Any = vizdoom.DoomGame()
    game.load_config(str(Path(vizdoom.scenarios_path) / f"{scenario}.cfg"))
    game.set_window_visible(False)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_episode_timeout(512 * 4)
    game.set_doom_config_path(os.devnull)
    game.set_seed(1)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # the engine leaves things where it starts
        game.init()
    buttons = game.get_available_buttons_size()

    def step(action: int) -> tuple[float, bool]:
        reward = game.make_action([float(action == button) for button in range(1, buttons + 1)], 4)
        return reward, game.is_episode_finished()

    def begin(number: int) -> tuple[Step, int]:
        game.new_episode()
        return step, buttons + 1

    return begin


if __name__ == "__main__":
    main(*sys.argv[1:])
