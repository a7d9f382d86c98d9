"""ViZDoom: rewards by hand and beside the engine's, ends, and engines that do not outlive the run."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from configs.vizdoom import get_config
from edeline_jax.config import pour
from edeline_jax.config.files import load
from edeline_jax.config.schema import EnvConfig
from edeline_jax.envs import make_env
from edeline_jax.envs.game import Moment
from edeline_jax.envs.vizdoom import SCENARIOS, Player, VizdoomGame
from edeline_jax.runtime.errors import ConfigError
from tests.runs import ROOT, environment

START = Player(kills=0, health=100, armor=0, damage=0, x=0, dead=False)
installed = pytest.mark.skipif(importlib.util.find_spec("vizdoom") is None, reason="vizdoom, an extra, is missing")


def reward(scenario: str, **after: float) -> float:
    return SCENARIOS[scenario].reward(START, START._replace(**after))


def test_rewards_are_the_papers() -> None:
    assert reward("basic", kills=1) == reward("predict_position", kills=1) == 1 and reward("basic", health=50) == 0
    assert reward("deadly_corridor", kills=2, armor=100, x=5) == 3
    assert reward("deadly_corridor", damage=30, health=70) == pytest.approx(-0.01)
    assert reward("deadly_corridor", damage=30, health=70, x=-1) == pytest.approx(-0.02)
    assert reward("defend_the_center", kills=1) == 1 and reward("defend_the_center", dead=True) == -1
    assert reward("defend_the_center", dead=True, kills=1) == 0
    assert reward("health_gathering", health=92, damage=8) == 0
    assert reward("health_gathering", health=100, damage=8) == 1  # the medkit's 25 points would go beyond 100
    assert reward("health_gathering", health=117, damage=8) == reward("health_gathering", health=125) == 1
    assert reward("health_gathering", health=130) == 2


def test_limits_and_successes_are_the_papers() -> None:
    assert {name: scenario.limit for name, scenario in SCENARIOS.items()} == {
        "basic": 75,
        "deadly_corridor": 512,
        "defend_the_center": 512,
        "health_gathering": 512,
        "predict_position": 75,
    }
    for name, player in {"basic": START._replace(kills=1), "deadly_corridor": START._replace(armor=100)}.items():
        assert SCENARIOS[name].success(player) and not SCENARIOS[name].success(START)
    for name in ("defend_the_center", "health_gathering"):
        assert SCENARIOS[name].success(START) and not SCENARIOS[name].success(START._replace(dead=True))


def settings(scenario: str) -> EnvConfig:
    return EnvConfig(**load(f"vizdoom:{scenario}").env.to_dict())


def test_an_unknown_scenario_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean vizdoom/deadly_corridor"):
        pour(get_config("deadly_coridor"))


def test_without_the_package_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    with pytest.raises(
        ConfigError, match=r"^config\.env: vizdoom is not installed: pip install 'edeline-jax\[vizdoom\]'"
    ):
        pour(get_config("basic"))


def play(game: VizdoomGame, policy: np.ndarray | int, seed: int = 0) -> list[Moment]:
    """A whole game of one action, or of random ones among several."""
    rng, moments = np.random.default_rng(seed), []
    game.reset()
    while not moments or not (moments[-1].end or moments[-1].truncation):
        moments.append(game.step(int(rng.choice(policy)) if isinstance(policy, list) else policy))
    return moments


@installed
def test_a_kill_is_rewarded_also_in_the_last_step_and_late_is_late() -> None:
    game = VizdoomGame(settings("basic"), seed=1)
    late = play(game, 0)
    assert (len(late), late[-1].end, late[-1].truncation) == (75, False, True)
    assert sum(m.reward for m in late) == 0 and late[-1].measures == (0, 100, 0, 0)
    games = [play(game, [1, 2, 3], seed) for seed in range(12)]
    for moments in games:
        killed = sum(m.reward for m in moments)
        assert killed == moments[-1].measures[0] == moments[-1].measures[3] == moments[-1].end
    assert sum(moments[-1].reward for moments in games) >= 2  # envpool rewards none of these
    game.close()


@installed
def test_defending_the_centre_is_the_engines_own_game(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenario's own reward is the paper's: +1 per kill, -1 for the death."""
    import vizdoom

    monkeypatch.chdir(tmp_path)
    engine = vizdoom.DoomGame()
    engine.load_config(str(Path(vizdoom.scenarios_path) / "defend_the_center.cfg"))
    engine.set_window_visible(False)
    engine.set_seed(2)
    engine.init()
    game = VizdoomGame(settings("defend_the_center"), seed=2)
    for seed in range(4):
        moments = play(game, [1, 2, 3], seed)
        rng, rewards = np.random.default_rng(seed), []
        if seed:
            engine.new_episode()
        while not engine.is_episode_finished():
            action = rng.choice([1, 2, 3])
            rewards.append(engine.make_action([float(action == button) for button in (1, 2, 3)], 4))
        assert [moment.reward for moment in moments] == rewards
        assert (moments[-1].end, moments[-1].truncation, moments[-1].measures[3]) == (True, False, 0)
        assert moments[-1].measures[1] <= 0  # health
        np.testing.assert_array_equal(moments[-1].frame, moments[-2].frame)  # the engine shows none after the end
    game.close()
    engine.close()


@installed
def test_armour_and_medkits_count_when_they_are_picked_up() -> None:
    corridor = VizdoomGame(settings("deadly_corridor"), seed=3)
    corridor._game.set_doom_skill(1)  # at the scenario's own, the engine gives nothing away
    corridor.reset()
    corridor.reset()
    corridor._game.send_game_command("give GreenArmor")
    moment = corridor.step(0)
    assert moment.reward == 1 and moment.measures[2] == 100
    corridor.close()
    gathering = VizdoomGame(settings("health_gathering"), seed=3)
    gathering.reset()
    for command, expected in (("", 0), ("give Medikit", 1)):
        rewards = []
        for t in range(12):  # the floor takes 8 health points in this time
            if command and t == 4:
                gathering._game.send_game_command(command)
            rewards.append(gathering.step(0).reward)
        assert sum(rewards) == expected
    gathering.close()


@installed
def test_games_of_several_engines_differ_and_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    env = make_env(settings("predict_position"), 2, 0, lives_end=True)
    first = env.reset()
    assert first.shape == (2, 64, 64, 3) and (first[0] != first[1]).any() and env.num_actions == 4
    step = [env.step(np.zeros(2, int)) for _ in range(75)][-1]
    assert step.truncation.all() and (step.obs != step.final_obs).any()
    env.close()
    assert list(tmp_path.iterdir()) == []


ENGINES = """if 1:
    import os, signal, sys, time
    from pathlib import Path
    from edeline_jax.config.files import load
    from edeline_jax.config.schema import EnvConfig
    from edeline_jax.envs import make_env
    env = make_env(EnvConfig(**load("vizdoom:basic").env.to_dict()), 2, 0, True)
    env.reset()
    children = [(task / "children").read_text() for task in Path("/proc/self/task").iterdir()]
    print(*children, flush=True)
    if "stay" in sys.argv:
        time.sleep(60)
"""


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


@installed
@pytest.mark.parametrize("end", ["exit", "kill"])
def test_no_engine_outlives_its_run(end: str) -> None:
    line = [sys.executable, "-c", ENGINES, *(["stay"] if end == "kill" else [])]
    run = subprocess.Popen(line, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    engines = [int(word) for word in run.stdout.readline().split()]
    assert len(engines) == 2
    if end == "kill":
        assert all(map(is_alive, engines))
        run.send_signal(signal.SIGKILL)
    run.wait(timeout=60)
    deadline = time.monotonic() + 10
    while any(map(is_alive, engines)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, engines))
