"""The server for a minute among visitors who vanish, and one who never reads."""

import json
import random
import time
from pathlib import Path

import pytest

from edeline_jax.play.picture import decode
from tests.play.serving import served
from tests.play.stages import make_action_stage

client = pytest.importorskip("websockets.sync.client", reason="needs the extra `play`")
pytest.importorskip("uvicorn", reason="needs the extra `play`")
pytestmark = pytest.mark.slow

SECONDS, WARM = 60, 15  # the first seconds grow: caches of JAX, of games
PACE = 30


def say(page: "client.ClientConnection", kind: str, **values: object) -> None:
    page.send(json.dumps({"kind": kind, **values}))


def resident() -> float:
    """Of this process, MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def test_others_keep_their_rate_and_nothing_grows() -> None:
    rng = random.Random(0)
    with served(make_action_stage(), max_sessions=6) as address:

        def visit(**options: object) -> "client.ClientConnection":
            return client.connect(f"ws://{address}/play", origin=f"http://{address}", **options)

        with visit() as steady, visit(max_queue=1) as silent:
            for page in (steady, silent):
                say(page, "pace", pace=PACE)
            began, count, vanished, first = time.monotonic(), 0, 0, 0.0
            while (now := time.monotonic()) < began + SECONDS:
                if decode(steady.recv(timeout=10))[0]["kind"] == "picture":
                    say(steady, "seen")
                    count += 1
                if count % 15 == 0:
                    page = visit()
                    say(page, rng.choice(("reset", "step", "seen")))
                    say(page, "world", world=rng.choice(("dream", "real", "both")))
                    if rng.random() < 0.5:
                        page.recv(timeout=10)
                    page.socket.close()  # without a word
                    vanished += 1
                    say(steady, "pace", pace=PACE)
                if not first and now > began + WARM:
                    first = resident()
            assert vanished >= 50
            assert count > 0.9 * PACE * SECONDS
            assert resident() - first < 15, f"from {first:.0f} to {resident():.0f} MB"
