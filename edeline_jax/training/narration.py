"""The lines that a run prints."""

from collections.abc import Iterator, Mapping

import jax
import numpy as np
from etils.epath import Path
from jax.sharding import Mesh

from edeline_jax.config import Config
from edeline_jax.dataset.episodes import Dataset
from edeline_jax.nn.params import Params, count_params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.host import is_on_host
from edeline_jax.report.published import NUM_STEPS, published_scores
from edeline_jax.workdir.progress import Progress, updates_in_epoch

EXPECTED = {"EDELINE": "EDELINE", "DIAMOND": "DIAMOND", "Human": "human", "Random": "random play"}  # published -> said


def introduction(config: Config, workdir: Path, mesh: Mesh) -> Iterator[str]:
    """The first lines of a run, before anything takes time: environment, devices, and what to expect of the game."""
    devices = mesh.devices.ravel()
    yield f"edeline-jax: {config.env.id}, seed {config.seed}, in {workdir}"
    yield f"devices: {len(devices)} x {devices[0].device_kind} ({devices[0].platform}), JAX {jax.__version__}"
    scores = published_scores(config.env.id)
    if scores and config.collection.num_steps_total >= NUM_STEPS:
        reached = ", ".join(f"{name} {scores[column]:,.1f}" for column, name in EXPECTED.items())
        yield f"published after {NUM_STEPS:,} steps: {reached}"


def sizes(params: Params, replay: Replay, held_out: Dataset | None) -> Iterator[str]:
    """The sizes of networks and replay, and the episodes that are kept for tests."""
    sizes = {name: f"{count_params(tree):,}" for name, tree in params.items()}
    replay_bytes = sum(x.nbytes for x in jax.tree.leaves(replay))
    num_steps = replay.actions.size
    if is_on_host(replay):
        num_steps, place = num_steps * jax.process_count(), "in a memory-mapped file of each host"
    else:
        lies = replay.actions.sharding
        place = "on each device" if lies.is_fully_replicated and lies.num_devices > 1 else "on the devices"
    yield f"parameters: world model {sizes['world_model']}, actor-critic {sizes['actor_critic']}"
    yield f"replay: {num_steps:,} steps, {replay_bytes / 1e9:.3f} GB {place}"
    if held_out is not None:
        yield f"held out for tests: {len(held_out.entries):,} episodes, {held_out.num_steps:,} steps"


def epoch_line(progress: Progress, updates: tuple[int, int], seconds_left: float) -> str:
    """The line at the end of an epoch."""
    return (
        f"epoch {progress.epoch}: {progress.env_steps} steps, updates {updates[0]} + {updates[1]}, "
        f"{_clock(progress.wall_time)} so far, about {_clock(seconds_left)} left"
    )


def resumption(progress: Progress, updates: tuple[int, int]) -> str:
    """The line that says where a resumed run continues."""
    place = "in" if progress.epoch_is_open else "after"
    return f"resumed {place} epoch {progress.epoch}, {progress.env_steps} steps, updates {updates}"


def test_line(progress: Progress, games: Mapping[str, float], losses: Mapping[str, float], final: bool) -> str:
    """The line about a test: statistics of its games if there is a game, pixel errors if there is a world model."""
    name = "final test" if final else f"test, epoch {progress.epoch}"
    parts = []
    if games:
        name += f", {games['num_games']:.0f} games" if final else ""
        parts.append(f"return {games['return_mean']:.2f} ± {games['return_std']:.2f}")
        if "success" in games:
            parts.append(f"success {games['success']:.2f}")
    if losses:
        error, baseline = losses["pixel_error"], losses["pixel_error_repeat_last"]
        parts.append(f"pixel error {error:.2f} of 255, repeating the last frame {baseline:.2f}")
    return f"{name}: {'; '.join(parts)}"


def seconds_left(config: Config, progress: Progress, paces: Mapping[str, float]) -> float:
    """Seconds that the rest of the run takes at the given paces.

    Args:
      paces: seconds per update of each network by its name, per collected "step" and per "game" of a test; what is
        missing is not counted.
    """
    steps_left = max(0, config.collection.num_steps_total - progress.env_steps)
    if config.training.model_free:
        steps_per_update = config.actor_critic.loss.backup_every * config.env.num_envs
        return paces["actor_critic"] * steps_left / steps_per_update + _seconds_of_tests(config, 0, 0, paces)
    through = progress.collection_is_through(config)
    collecting = 0 if through else -(-steps_left // config.collection.steps_per_epoch)
    epochs_left = collecting + config.training.num_final_epochs - progress.final_epochs
    updates = sum(
        paces.get(network, 0.0)
        * sum(updates_in_epoch(getattr(config, network).training, progress.epoch + 1 + i) for i in range(epochs_left))
        for network in ("world_model", "actor_critic")
    )
    collection = 0.0 if through else paces.get("step", 0.0) * steps_left
    return updates + collection + _seconds_of_tests(config, progress.epoch, epochs_left, paces)


def _seconds_of_tests(config: Config, epoch: int, epochs_left: int, paces: Mapping[str, float]) -> float:
    """Those after `epoch` and the epochs that follow it, and the last one."""
    c = config.evaluation
    tests = (epoch + epochs_left) // c.every - max(0, epoch - 1) // c.every
    return paces.get("game", 0.0) * (tests * c.num_episodes + c.num_final_episodes) if config.has_env else 0.0


def _clock(seconds: float) -> str:
    minutes = int(np.ceil(seconds / 60))
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
