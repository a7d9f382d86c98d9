"""The program from its flags to its end, and what it says about the way to the page."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from edeline_jax.play.server import directions, listen
from edeline_jax.runtime.errors import UserError
from tests.runs import ROOT, assert_one_line_error, environment, module

SSH = {"SSH_CONNECTION": "10.0.0.5 51000 10.0.0.7 22", "USER": "me", "LOGNAME": "me"}


@pytest.mark.parametrize("flags", [("--workdir=a", "--agent=b"), ("--workdir=a", "b")])
def test_more_than_one_agent_is_refused(flags: tuple[str, ...]) -> None:
    assert_one_line_error(module("edeline_jax.play", *flags), "usage: ", "--workdir=RUN | --agent=FILE")


def test_missing_packages_are_named() -> None:
    code = (
        "import sys; from edeline_jax.play import __main__ as program; "
        "program.PACKAGES = 'starlette', 'no_such_package'; sys.argv.append('--workdir=a'); program.cli()"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert_one_line_error(result, "no_such_package: pip install 'edeline-jax[play]'")


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port={port}: Address already in use; another --port may be free"):
            listen("127.0.0.1", port)


def test_it_says_where_the_page_is() -> None:
    assert directions("127.0.0.1", 80, "", {}) == ["open http://localhost:80/"]
    assert directions("10.0.0.7", 80, "abc", SSH) == ["open http://10.0.0.7:80/?token=abc"]
    assert directions("0.0.0.0", 80, "abc", {}) == [f"open http://{socket.gethostname()}:80/?token=abc"]


def test_over_ssh_it_says_the_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    tunnel = "on your own machine: ssh -N -L 8080:localhost:8080 me@10.0.0.7"
    assert directions("127.0.0.1", 8080, "", SSH) == [tunnel, "open http://localhost:8080/"]
    other = {"SSH_CONNECTION": "10.0.0.5 51000 10.0.0.7 2222"}
    assert directions("127.0.0.1", 8080, "", other)[0].endswith("-p 2222 me@10.0.0.7")


@pytest.mark.ci
def test_a_run_is_played_until_a_signal(finished: Path) -> None:
    pytest.importorskip("uvicorn", reason="needs the extra `play`")
    line = [sys.executable, "-m", "edeline_jax.play", f"--workdir={finished}", "--port=0"]
    process = subprocess.Popen(
        line, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said = []
    for text in process.stdout:
        said.append(text)
        if found := re.match(r"open (http://localhost:\d+/)", text):
            break
    assert any(text.startswith("compiling the world model (1 Euler step)") for text in said), process.stderr.read()
    with urllib.request.urlopen(found[1]) as page:
        assert b"<canvas" in page.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0 and process.stderr.read() == ""
