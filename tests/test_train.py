"""The real entry point, in its own process, on the smallest config."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent


def train(
    workdir: Path, *overrides: str, config: str = "tests/tiny_config.py", devices: int = 1, timeout: int = 900
) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "edeline_jax.train", f"--config={config}", f"--workdir={workdir}", *overrides]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout)


def rows(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    workdir = tmp_path_factory.mktemp("run")
    result = train(workdir)
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout


def test_a_run_keeps_its_schedule(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    by_epoch = {row["epoch"]: row for row in rows(workdir) if "actor_critic/loss_total" in row}
    # 80 steps at first, 40 more in epochs 2 and 3, then one epoch without collection; 3 updates at first, then 2
    assert {epoch: row["env_steps"] for epoch, row in by_epoch.items()} == {1: 80, 2: 120, 3: 160, 4: 160}
    assert [by_epoch[e]["world_model_updates"] for e in (1, 2, 3, 4)] == [3, 5, 7, 9]
    assert [by_epoch[e]["actor_critic_updates"] for e in (1, 2, 3, 4)] == [3, 5, 7, 9]
    tests = [row for row in rows(workdir) if "test/return_mean" in row]
    assert [(row["epoch"], row["test/num_games"]) for row in tests] == [(2, 4), (4, 4), (4, 6)]


def test_a_run_says_what_it_is_and_what_it_leaves(finished: tuple[Path, str]) -> None:
    workdir, output = finished
    for words in (
        "devices: 1 x",
        "parameters: world model",
        "replay: 160 steps",
        "compiled in",
        "ms per update",
        "pixel error",
    ):
        assert words in output
    summary = json.loads((workdir / "summary.json").read_text())
    assert summary["num_games"] == 6 and (summary["progress"]["env_steps"], summary["progress"]["epoch"]) == (160, 4)
    assert sorted(path.name for path in (workdir / "agents").iterdir()) == ["3", "4"]  # num_agents_to_keep = 2
    assert json.loads((workdir / "config.json").read_text())["env"]["id"] == "catch"
    for picture in ("returns", "world_model", "actor_critic", "imagination"):
        with Image.open(workdir / "report" / f"{picture}.png") as image:
            assert len(set(image.convert("L").get_flattened_data())) > 5


def test_a_finished_run_does_nothing(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    before = (workdir / "metrics.jsonl").read_bytes()
    result = train(workdir)
    assert result.returncode == 0 and "finished run: nothing to do" in result.stdout
    assert (workdir / "metrics.jsonl").read_bytes() == before


def test_another_config_is_refused_in_the_same_folder(finished: tuple[Path, str]) -> None:
    result = train(finished[0], "--config.seed=7")
    assert result.returncode == 1 and "config.seed: 0 -> 7" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_killed_run_goes_on_from_its_last_epoch(finished: tuple[Path, str], tmp_path: Path) -> None:
    """Killed in epoch 3 and started again: the counters end as if it had not been."""
    workdir = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "edeline_jax.train", "--config=tests/tiny_config.py", f"--workdir={workdir}"],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("epoch 3:"):  # epoch 2 is saved, epoch 3 perhaps not
            process.kill()
    process.wait()
    result = train(workdir)
    assert result.returncode == 0, result.stderr
    assert "resumed after epoch" in result.stdout
    kept = [
        {k: v for k, v in json.loads((w / "summary.json").read_text()).items() if k in COUNTERS}
        for w in (finished[0], workdir)
    ]
    assert kept[0] == kept[1]


COUNTERS = ("epoch", "final_epochs", "replay_step", "env_steps", "num_games")


def test_several_devices_share_the_batch_and_accumulate(tmp_path: Path) -> None:
    accumulate = [f"--config.{group}.training.grad_acc_steps=2" for group in ("world_model", "actor_critic")]
    result = train(tmp_path, *accumulate, "--config.collection.num_steps_total=150", devices=4)
    assert result.returncode == 0, result.stderr
    assert "devices: 4 x" in result.stdout
    last = [row for row in rows(tmp_path) if "actor_critic/loss_total" in row][-1]
    # 80 steps, 40, then the 30 that are left, rounded up to all 4 environments
    assert (last["env_steps"], last["world_model_updates"], last["actor_critic_updates"]) == (152, 9, 9)


def test_model_free_learning_uses_real_steps(tmp_path: Path) -> None:
    result = train(tmp_path, "--config.training.model_free=True", "--config.training.num_final_epochs=0")
    assert result.returncode == 0, result.stderr
    last = rows(tmp_path)[-1]
    assert last["world_model_updates"] == 0
    # each update takes backup_every = 4 steps of 4 environments;
    # epochs of 3, 2, 2, ... updates until 160 steps are through
    assert last["env_steps"] == 176 and last["actor_critic_updates"] == 11
    assert not (tmp_path / "report" / "imagination.png").exists()


def test_evaluation_only(tmp_path: Path) -> None:
    result = train(tmp_path, "--config.training.should=False")
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "summary.json").read_text())["epoch"] == 0


@pytest.mark.parametrize(
    ("config", "override", "message"),
    [
        ("configs/atari.py:brekout", "", "error: config.env: unknown game 'brekout'; did you mean breakout?"),
        ("configs/atari.py:pong,small", "", "unknown preset 'small'; known: tiny"),
        ("configs/atari.py:pong", "--config.env.numenvs=8", 'unknown key in an override: Did you mean "num_envs"'),
        ("configs/atari.py:pong", "--config.env.num_envs=many", "error: flag --config.env.num_envs=many"),
        ("configs/atari.py:pong", "--config.world_model.loss.horizon=1", "raise horizon to at least 2"),
        ("configs/nothing.py", "", "No such file or directory: 'configs/nothing.py'"),
        ("configs/catch.py", "--config.env.size=33", "error: config.env: size must be a multiple of 10"),
        ("configs/catch.py", "--bogus=1", "Unknown command line flag 'bogus'"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, config: str, override: str, message: str) -> None:
    result = train(tmp_path / "run", *filter(None, [override]), config=config)
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
