"""The server for ten minutes among visitors who vanish, and one who never reads."""

import ctypes
import gc
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

SECONDS = 600
WARM = 20  # visits, after which caches of JAX and of games are full
PACE = 30


def say(page: "client.ClientConnection", kind: str, **values: object) -> None:
    page.send(json.dumps({"kind": kind, **values}))


def resident() -> float:
    """What this process needs, MB, without what malloc keeps of what was freed, and what only awaits collection."""
    gc.collect()  # which the tests do rarely, see conftest.py
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def visit(address: str, **options: object) -> "client.ClientConnection":
    return client.connect(f"ws://{address}/play", origin=f"http://{address}", **options)


def watch(address: str, seconds: float, pictures: Any) -> None:
    """Takes every picture, and does something now and then: who does not has to go after ten minutes."""
    began = time.monotonic()
    with visit(address) as page:
        say(page, "pace", pace=PACE)
        while time.monotonic() < began + seconds:
            if decode(page.recv(timeout=10))[0]["kind"] == "picture":
                say(page, "seen")
                pictures.value += 1
                if pictures.value % (60 * PACE) == 0:
                    say(page, "reset")


def ignore(address: str, seconds: float, visits: Any) -> None:
    """Takes none."""
    with visit(address, max_queue=1, ping_interval=None) as page:
        say(page, "pace", pace=PACE)
        visits.value += 1
        time.sleep(seconds)


def vanish(address: str, seconds: float, visits: Any) -> None:
    """Visits, and each time is gone without a word."""
    rng, began = random.Random(0), time.monotonic()
    while time.monotonic() < began + seconds:
        page = visit(address)
        say(page, rng.choice(("reset", "step", "seen")))
        say(page, "world", world=rng.choice(("dream", "real", "both")))
        if rng.random() < 0.5:
            page.recv(timeout=10)
        page.socket.close()
        visits.value += 1
        time.sleep(0.4)


def test_others_keep_their_rate_and_nothing_grows() -> None:
    """The visitors have processes of their own, so that this one's memory is the server's."""
    processes = multiprocessing.get_context("spawn")
    counts = {kind: processes.Value("i", 0) for kind in (watch, ignore, vanish)}
    with served(make_action_stage(), max_sessions=6) as address:
        visitors = [processes.Process(target=kind, args=(address, SECONDS, n)) for kind, n in counts.items()]
        for visitor in visitors:
            visitor.start()
        while counts[vanish].value < WARM or not (counts[watch].value and counts[ignore].value):
            assert all(visitor.is_alive() for visitor in visitors)
            time.sleep(0.1)
        first = resident()
        while all(visitor.is_alive() for visitor in visitors):
            last = resident()  # which holds the server up for some tenths of a second
            visitors[0].join(timeout=30)
        for visitor in visitors:
            visitor.join(timeout=60)
    assert [visitor.exitcode for visitor in visitors] == [0, 0, 0]
    pictures, vanished = counts[watch].value, counts[vanish].value
    print(f"{vanished} visitors vanished; {pictures / SECONDS:.1f} pictures/s; {first:.0f} to {last:.0f} MB")
    assert vanished >= 50 and counts[ignore].value == 1
    assert pictures > 0.9 * PACE * SECONDS
    assert last - first < 15, f"from {first:.0f} to {last:.0f} MB"
