"""What a user types and sends: files that are no configs, odd names, closed outputs, signals."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tqdm import tqdm

from edeline_jax.runtime.command_line import say
from edeline_jax.runtime.files import to_path
from edeline_jax.runtime.interruption import SECONDS_APART
from tests.runs import (
    ROOT,
    assert_one_line_error,
    command,
    environment,
    flags,
    module,
    read_until,
    rows,
    start,
    summary,
    train,
)

LONG = {f"{network}.training.steps_first_epoch": 100_000 for network in ("world_model", "actor_critic")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def get_config(): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1", "the file has no function get_config"),
        ("\ndef get_config(: pass", "line 2: invalid syntax"),
        ("import nosuchmodule", "No module named 'nosuchmodule'"),
        ("raise RuntimeError('one\\ntwo')", "RuntimeError: two"),
    ],
)
def test_a_config_file_that_fails_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    assert_one_line_error(
        train(tmp_path / "run", config=str(tmp_path / "mine.py")), f"--config={tmp_path}/mine.py: ", words
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("breakout", "--config=breakout: no such file; give one, or a name (atari, catch, craftax, crafter, "),
        ("breakout", ", vizdoom) such as atari:breakout"),
        ("configs/run.py:/nonexistent", "/nonexistent/config.json: cannot be read"),
        ("configs/atari.py:BreakoutNoFrameskip-v4", "did you mean breakout?"),
        ("configs/atari.py:ALE/MsPacman-v5", "did you mean ms_pacman?"),
    ],
)
def test_a_config_that_is_none_is_named(tmp_path: Path, config: str, words: str) -> None:
    assert_one_line_error(train(tmp_path / "run", config=config), words)


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_says_what_there_is(word: str) -> None:
    result = module("edeline_jax.train", word)
    assert result.returncode == 0 and result.stderr == ""
    for words in ("--workdir", "--config.actor_critic.loss.gamma=0.985", "--list: "):
        assert words in result.stdout


def test_a_warning_of_a_library_is_one_line() -> None:
    """JAX's about Kubernetes has four; XLA's about a slow compilation, which is no Python warning, is not shown."""
    code = """if 1:
        import os, sys, warnings
        from edeline_jax.runtime import command_line
        def main(argv):
            warnings.warn("Kubernetes environment detected, but\\n   pip install\\n\\033[1mjax[k8s]\\n")
            print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
        command_line.run(main)"""
    env = {name: value for name, value in environment().items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert result.stderr == "warning: Kubernetes environment detected, but pip install \\x1b[1mjax[k8s]\n"
    assert result.stdout == "3\n"


@pytest.mark.parametrize("name", ["train", "evaluate", "report", "convert", "dataset"])
def test_every_program_is_a_command_too(name: str) -> None:
    path = Path(sys.executable).parent / f"edeline-{name}"
    result = subprocess.run([path, "--help"], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == module(f"edeline_jax.{name}", "--help").stdout


def test_a_line_does_not_cut_through_a_bar(capsys: pytest.CaptureFixture) -> None:
    """The bar is wiped, the line printed, and the bar drawn again."""
    with tqdm(total=4, desc="collect", file=sys.stderr) as bar:
        capsys.readouterr()
        say("epoch 1: 80 steps")
        out, err = capsys.readouterr()
        assert out == "epoch 1: 80 steps\n"
        assert re.fullmatch(r"\r +\r\rcollect: +0%.*", err), err
        assert bar.n == 0


def test_the_package_lists_its_programs() -> None:
    result = module("edeline_jax")
    assert result.returncode == 0
    for name in ("train", "evaluate", "play", "report", "convert", "dataset"):
        assert f"python -m edeline_jax.{name} " in result.stdout


def test_a_user_without_a_home_and_odd_folders(tmp_path: Path) -> None:
    """Every name is printed on one line; a tilde is the home."""
    assert str(to_path("~/runs")) == os.path.expanduser("~/runs")
    blocked = tmp_path / "a\nfile"
    blocked.write_text("")
    assert_one_line_error(train(blocked / "run"), r"a\nfile/run: cannot be used as --workdir")
    code = "import os; os.environ.pop('HOME', 0); import pwd; pwd.getpwuid = {}.__getitem__; "
    code += "from edeline_jax.runtime.compilation_cache import cache_folder; print(cache_folder())"
    env = {name: value for name, value in environment().items() if name != "XDG_CACHE_HOME"}
    for variables, found in (({}, "None"), ({"XDG_CACHE_HOME": "/x"}, "/x")):
        line = [sys.executable, "-c", code]
        assert (
            subprocess.run(line, cwd=ROOT, env=env | variables, capture_output=True, text=True).stdout.strip() == found
        )


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = module("edeline_jax.report", ROOT / "tests", f"--json={tmp_path / 'no' / 'x.json'}")
    assert result.returncode == 1 and "make room" not in result.stderr
    result = module("edeline_jax.dataset", "inspect", tmp_path / "file" / "data")
    assert_one_line_error(result, str(tmp_path))


@pytest.mark.ci
def test_a_run_outlives_those_who_read_its_output(finished: Path) -> None:
    """Standard output closed after a line, and standard error from the start."""
    (finished / "summary.json").unlink()
    line = f"{' '.join(command(finished, '--config.training.should=False'))} 2>&- | head -1"
    result = subprocess.run(line, shell=True, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)
    assert result.stdout == "changed config.training.should: True -> False\n"
    assert summary(finished)["world_model_updates"] == 9
    assert [row["test/num_games"] for row in rows(finished) if "test/num_games" in row] == [4, 4, 6, 6]


@pytest.mark.ci
def test_a_closed_standard_error_does_not_disarm_the_second_signal(tmp_path: Path) -> None:
    process = start(tmp_path, *flags(LONG))
    process.stderr.close()
    read_until(process, "compiling the world_model")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(SECONDS_APART + 0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in (0, 128 + signal.SIGINT) and time.monotonic() - begin < 10
