"""How fast the player in the browser is: pictures per second, and the time from a key to the picture that shows it.

    python -m benchmarks.play [--workdir=RUN]

Without a run it is the trained agent of the package. The page is a socket on the same machine, so the network and the
drawing are not in it.
"""

import json
import statistics
import subprocess
import sys
import time

import numpy as np
from websockets.sync.client import ClientConnection, connect

from edeline_jax.play.picture import decode

SECONDS = 10.0
KEYS = 60
FASTEST = 60  # steps per second


def say(page: ClientConnection, kind: str, **values: object) -> None:
    page.send(json.dumps({"kind": kind, **values}))


def see(page: ClientConnection) -> dict:
    """The header of the next picture."""
    while (header := decode(page.recv())[0])["kind"] != "picture":
        pass
    say(page, "seen")
    return header


def pictures_per_second(page: ClientConnection) -> float:
    say(page, "pace", pace=FASTEST)
    began, count = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + SECONDS:
        see(page)
        count += 1
    return count / (now - began)


def latencies(page: ClientConnection, world: str, pace: int) -> list[float]:
    """Seconds from the message of a key to the picture after its action, for keys at random times."""
    rng = np.random.default_rng(0)
    say(page, "pace", pace=pace)
    times = []
    for _ in range(KEYS):
        until = time.perf_counter() + rng.uniform(0.15, 0.4)
        while time.perf_counter() < until:
            see(page)
        time.sleep(rng.uniform(0, 1 / pace))
        began = time.perf_counter()
        say(page, "act", action=2)
        while see(page)[world]["action"] != 2:
            pass
        times.append(time.perf_counter() - began)
        say(page, "act", action=None)
        while see(page)[world]["action"] == 2:
            pass
    return times


def start(*flags: str) -> tuple[subprocess.Popen, str]:
    """The program with these flags, and its page's address."""
    line = [sys.executable, "-m", "edeline_jax.play", *flags, "--port=0"]
    program = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    for text in program.stdout:
        print(text, end="", flush=True)
        if text.startswith("open http://"):
            return program, text.removeprefix("open http://").strip().rstrip("/")
    sys.exit(program.wait())


def main(*flags: str) -> None:
    program, address = start(*flags)
    for world, shown in (("dream", "dream"), ("real", "real"), ("both", "dream")):
        with connect(f"ws://{address}/play", origin=f"http://{address}") as page:
            say(page, "world", world=world)
            say(page, "horizon", horizon=None)
            while shown not in see(page):
                pass
            rate = pictures_per_second(page)
            print(f"{world}: {rate:.1f} pictures per second, of {FASTEST} asked for", flush=True)
            for pace in (15, 30):
                times = [1000 * x for x in latencies(page, shown, pace)]
                late = sorted(times)[int(0.95 * len(times))]
                words = f"median {statistics.median(times):.0f} ms, 95 % within {late:.0f} ms"
                print(f"{world}, {pace} steps per second: key to picture {words}", flush=True)
    program.terminate()
    program.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
