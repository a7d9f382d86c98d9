"""The server for ten minutes among visitors who vanish, and one who never reads."""

import ctypes
import json
import multiprocessing
import random
import time
from pathlib import Path
from typing import Any

import pytest

from edeline_jax.play.picture import decode
from tests.play.serving import served
from tests.play.stages import make_action_stage

client = pytest.importorskip("websockets.sync.client", reason="needs the extra `play`")
pytest.importorskip("uvicorn", reason="needs the extra `play`")
pytestmark = pytest.mark.slow

SECONDS, WARM = 600, 30  # the first seconds grow: caches of JAX, of games
PACE = 30


def say(page: "client.ClientConnection", kind: str, **values: object) -> None:
    page.send(json.dumps({"kind": kind, **values}))


def resident() -> float:
    """What this process needs, MB, without what malloc keeps of what was freed."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def visit(address: str, **options: object) -> "client.ClientConnection":
    return client.connect(f"ws://{address}/play", origin=f"http://{address}", **options)


def vanish(address: str, seconds: float, vanished: Any) -> None:
    """Visits, and each time is gone without a word; in a process of its own, whose memory does not count."""
    rng, began = random.Random(0), time.monotonic()
    while time.monotonic() < began + seconds:
        page = visit(address)
        say(page, rng.choice(("reset", "step", "seen")))
        say(page, "world", world=rng.choice(("dream", "real", "both")))
        if rng.random() < 0.5:
            page.recv(timeout=10)
        page.socket.close()
        vanished.value += 1
        time.sleep(0.4)


def test_others_keep_their_rate_and_nothing_grows() -> None:
    processes = multiprocessing.get_context("spawn")
    vanished = processes.Value("i", 0)
    with (
        served(make_action_stage(), max_sessions=6) as address,
        visit(address) as steady,
        visit(address, max_queue=1, ping_interval=None) as silent,
    ):
        for page in (steady, silent):
            say(page, "pace", pace=PACE)
        others = processes.Process(target=vanish, args=(address, SECONDS, vanished))
        others.start()
        began, count, first = time.monotonic(), 0, 0.0
        while (now := time.monotonic()) < began + SECONDS:
            if decode(steady.recv(timeout=10))[0]["kind"] == "picture":
                say(steady, "seen")
                count += 1
            if count % 15 == 0:
                say(steady, "pace", pace=PACE)  # who says nothing has to go
            if not first and now > began + WARM:
                first = resident()
        last = resident()
        others.join(timeout=30)
    assert others.exitcode == 0 and vanished.value >= 50
    assert count > 0.9 * PACE * SECONDS
    print(f"{vanished.value} visitors vanished; {count / SECONDS:.1f} pictures/s; {first:.0f} to {last:.0f} MB")
    assert last - first < 15, f"from {first:.0f} to {last:.0f} MB"
