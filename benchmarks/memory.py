"""Checks for memory leaks: records the resident size of a run with many short epochs.

    python -m benchmarks.memory FOLDER [MINUTES]

Every epoch collects, trains both networks and saves; every fifth one tests. Writes FOLDER/memory.tsv (seconds, resident
MB, MB of the replay filled so far) and FOLDER/memory.png, and prints the growth after the first quarter.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from edeline_jax.report.runs import read_lines
from edeline_jax.workdir.folder import RunFolder

SECONDS_BETWEEN_SAMPLES = 5.0
BYTES_PER_STEP = 20 * 20 * 3 + 9  # frame, action, reward, end
OVERRIDES = (
    "collection.num_steps_total=400_000",
    "collection.steps_per_epoch=100",
    "world_model.training.steps_first_epoch=5",
    "world_model.training.steps_per_epoch=5",
    "actor_critic.training.steps_first_epoch=5",
    "actor_critic.training.steps_per_epoch=5",
    "evaluation.every=5",
    "evaluation.num_episodes=10",
)


def resident_megabytes(pid: int) -> float:
    """VmRSS of a process in MB (Linux); NaN if it is a zombie."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1e3
    return float("nan")


def filled_megabytes(workdir: Path) -> float:
    """The size of the steps so far in the replay, in MB."""
    path = RunFolder(workdir).metrics
    lines = read_lines(path) if path.exists() else []
    return lines[-1]["env_steps"] * BYTES_PER_STEP / 1e6 if lines else 0.0


def sample(workdir: Path, minutes: float) -> np.ndarray:
    """Runs for some minutes, then stops the run.

    Returns samples of (seconds, resident MB, filled MB), float64 [N, 3].
    """
    command = [sys.executable, "-m", "edeline_jax.train", "--config=configs/catch.py", f"--workdir={workdir / 'run'}"]
    process = subprocess.Popen([*command, *(f"--config.{key}" for key in OVERRIDES)], stdout=subprocess.DEVNULL)
    begin = time.monotonic()
    samples = []
    while process.poll() is None and time.monotonic() - begin < minutes * 60:
        samples.append((time.monotonic() - begin, resident_megabytes(process.pid), filled_megabytes(workdir / "run")))
        time.sleep(SECONDS_BETWEEN_SAMPLES)
    process.send_signal(signal.SIGTERM)
    if process.wait(120) != 0:
        raise SystemExit(f"the run ended with status {process.returncode}")
    return np.array(samples)


def draw(samples: np.ndarray, path: Path) -> None:
    """Draws the resident size, with and without the filled part of the replay."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    seconds, resident, filled = samples.T
    axes.plot(seconds / 60, resident, label="resident size")
    axes.plot(seconds / 60, resident - filled, label="without the replay's filled part")
    axes.set(xlabel="minutes", ylabel="MB", ylim=(0, None))
    axes.legend(frameon=False)
    axes.grid(color="0.9")
    figure.savefig(path)


def main() -> None:
    folder = Path(sys.argv[1])
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 31.0
    folder.mkdir(parents=True, exist_ok=True)
    samples = sample(folder, minutes)
    np.savetxt(folder / "memory.tsv", samples, fmt="%.1f", delimiter="\t")
    draw(samples, folder / "memory.png")
    rest = samples[len(samples) // 4 :]
    net = rest[:, 1] - rest[:, 2]
    tenth = max(1, len(net) // 10)
    first, last = np.median(net[:tenth]), np.median(net[-tenth:])
    print(
        f"{minutes:.0f} min: {first:.0f} MB after the first quarter, {last:.0f} MB at the end ({last / first - 1:+.1%})"
    )


if __name__ == "__main__":
    main()
