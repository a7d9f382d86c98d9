"""Games in turn, in threads and in processes: the same play, errors on one line, no process left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from configs.gymnasium import get_config
from edeline_jax.config import pour
from edeline_jax.config.schema import EnvConfig
from edeline_jax.envs import VectorEnv, make_env
from edeline_jax.envs.game import GameError
from edeline_jax.envs.gymnasium import GymnasiumGame
from edeline_jax.envs.vector import seeds
from edeline_jax.runtime.errors import UserError
from tests.in_process import train_here
from tests.runs import ROOT, environment

pytest.importorskip("gymnasium", reason="an extra")
WORKERS = ["in_turn", "threads", "processes"]
SCREENS = "tests.envs.screens"


def made(workers: str, id: str = "Screen-v0") -> VectorEnv:
    return make_env(settings(workers, id), 3, 5, lives_end=True)


def settings(workers: str, id: str = "Screen-v0") -> EnvConfig:
    config = get_config(id)
    config.agent.denoiser.inner_model.update(channels=(8,), depths=(1,), attn_depths=(False,))
    for encoder in (config.agent.recurrent_emb, config.agent.actor_critic):
        encoder.update(channels=(8,), down=(True,))
    config.env.update(size=8, module=SCREENS, workers=workers)
    return pour(config).env


def test_all_play_the_same() -> None:
    """As single games do that are played by hand; they end at once."""
    plays = []
    for workers in WORKERS:
        rng = np.random.default_rng(0)
        with closing(made(workers)) as env:
            plays.append([env.reset(), *(env.step(rng.integers(0, 3, 3)) for _ in range(8))])
            assert env.num_actions == 3
    for number, seed in enumerate(seeds(5, 3)):
        game, rng = GymnasiumGame(settings("in_turn"), seed), np.random.default_rng(0)
        np.testing.assert_array_equal(plays[0][0][number], game.reset())
        for step in plays[0][1:]:
            moment = game.step(int(rng.integers(0, 3, 3)[number]))
            np.testing.assert_array_equal(step.final_obs[number], moment.frame)
            assert (step.reward[number], step.end[number]) == (moment.reward, moment.end)
            np.testing.assert_array_equal(step.obs[number], game.reset() if moment.end else moment.frame)
    for other in plays[1:]:
        np.testing.assert_array_equal(other[0], plays[0][0])
        for got, expected in zip(other[1:], plays[0][1:], strict=True):
            for name in ("obs", "final_obs", "reward", "end", "truncation", "game_over"):
                np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)
    assert len({frame.tobytes() for step in plays[0][1:] for frame in step.obs}) > 8


@pytest.mark.parametrize("workers", WORKERS)
def test_an_error_of_a_game_is_one_line(workers: str) -> None:
    """With the number of the environment, and the place in its code."""
    message = r"^environment 1 failed: ZeroDivisionError: .* by zero \(screens\.py, line \d+\)$"
    with closing(made(workers, id="Brittle-v0")) as env:
        env.reset()
        env.step(np.array([0, 1, 0]))
        with pytest.raises(GameError, match=message):
            env.step(np.array([0, 2, 0]))


def test_a_process_that_dies_is_one_line() -> None:
    with closing(made("processes")) as env:
        env.reset()
        os.kill(children()[1], signal.SIGKILL)
        with pytest.raises(GameError, match=r"^environment 1 failed: its process ended with status -9$"):
            env.step(np.zeros(3, int))


@pytest.mark.ci
def test_a_run_whose_game_fails_says_so_in_one_line(tmp_path: Path) -> None:
    changes = {"env.id": "gymnasium/Brittle-v0", "env.module": SCREENS, "env.done_on_life_loss": False}
    with pytest.raises(UserError, match=r"^environment \d failed: ZeroDivisionError: .*; what was saved is intact$"):
        train_here(tmp_path, changes)


def test_games_in_threads_are_stepped_at_the_same_time() -> None:
    with closing(made("threads", id="Meeting-v0")) as env:
        env.reset()
        env.step(np.zeros(3, int))  # each waits for the other two


def children(pid: int | None = None) -> list[int]:
    """The processes that play, of one that runs."""
    found = []
    for path in Path(f"/proc/{pid or os.getpid()}/task").glob("*/children"):
        for child in path.read_text().split():
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return sorted(found)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while any(map(is_there, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_there, pids))


def test_closed_games_leave_no_process() -> None:
    env = made("processes")
    env.reset()
    pids = children()
    assert len(pids) == 3
    env.close()
    assert gone(pids, 1.0)


PROGRAM = """
import json, sys, time
import numpy as np
from tests.envs.test_stepping import children, made
if __name__ == "__main__":
    env = made("processes", id=sys.argv[1])
    env.reset()
    print(json.dumps(children()), flush=True)
    if sys.argv[2] == "ends":
        sys.exit(0)
    env.step(np.zeros(3, int)) if sys.argv[1] == "Slow-v0" else time.sleep(600)
"""


@pytest.mark.parametrize(("id", "end"), [("Screen-v0", "killed"), ("Slow-v0", "killed"), ("Screen-v0", "ends")])
def test_no_process_outlives_the_run(id: str, end: str, tmp_path: Path) -> None:
    """Neither one that waits for an action, nor one in the middle of a long step; nor does the end of a run hang."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    env = environment(PYTHONPATH=str(ROOT))
    process = subprocess.Popen([sys.executable, program, id, end], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pids = json.loads(process.stdout.readline())
    assert len(pids) == 3 and all(map(is_there, pids))
    time.sleep(0.3)
    if end == "killed":
        process.kill()
    process.wait(20)
    assert gone(pids)


def test_a_signal_to_all_processes_lets_the_run_save() -> None:
    """As a terminal and a scheduler send them; games go on until the run closes them."""
    with closing(made("processes")) as env:
        env.reset()
        for pid in children():
            os.kill(pid, signal.SIGTERM)
            assert os.getsid(pid) == pid  # Ctrl-C does not reach it
        env.step(np.zeros(3, int))
