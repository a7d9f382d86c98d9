"""Folders as runs leave them, without running anything."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from configs.atari import get_config
from edeline_jax.config import pour, to_dict
from edeline_jax.report.filmstrip import draw_filmstrip, draw_gif
from edeline_jax.report.published import published_table

Row = dict[str, float]


def write_run(
    folder: Path, game: str, seed: int, score: float | None = None, rows: tuple[dict, ...] = (), **agent: str
) -> Path:
    """A finished run where there is a score."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"seed": seed, "env": {"id": game}, "agent": agent}))
    write_lines(folder / "metrics.jsonl", rows)
    if score is not None:
        progress = {"epoch": 1000, "env_steps": 100_000}
        (folder / "summary.json").write_text(json.dumps({"return_mean": score, "progress": progress}))
    return folder


def write_grid(folder: Path) -> Path:
    """Five runs of each of the 26 games, about as good as EDELINE; the last one of Pong goes on."""
    rng = np.random.default_rng(0)
    for game, published in published_table().items():
        for seed in range(5):
            score = published["Random"] + rng.uniform(0.6, 1.2) * (published["EDELINE"] - published["Random"])
            rows = ({"epoch": 400, "env_steps": 44_900, "test/return_mean": score},)
            write_run(folder / game / str(seed), game, seed, None if (game, seed) == ("pong", 4) else score, rows)
    return folder


def write_whole_run(folder: Path, finished: bool = False, changes: dict[str, Any] | None = None) -> Path:
    """A run of Breakout with every file that a page shows; `changes` are of the paper's config."""
    values = get_config("breakout")
    values.update_from_flattened_dict(changes or {})
    (folder / "report").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(to_dict(pour(values))))
    write_lines(folder / "metrics.jsonl", metrics())
    machine = {"devices": "1 x H100 (gpu)", "versions": "JAX 1"}
    write_lines(folder / "starts.jsonl", (machine | {"time": f"2026-01-0{day} 10:00 +0000"} for day in (1, 2)))
    if finished:
        summary = {"return_mean": 20.0, "progress": {"epoch": 20, "env_steps": 12_000}}
        (folder / "summary.json").write_text(json.dumps(summary))
    write_dream(folder / "report")
    write_exam(folder / "evaluation")
    return folder


def write_lines(path: Path, rows: Any) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def metrics(epochs: int = 20) -> list[Row]:
    """An epoch takes an hour: 12 minutes collecting, 48 for updates of the world model, and every fifth one a test."""
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "env_steps": 10_000 + 100 * epoch, "wall_time": 3600.0 * epoch}
        row |= {"world_model_updates": 400 * epoch, "actor_critic_updates": 300 * epoch}
        rows.append(row | {"collect/return_mean": float(epoch), "collect/length_mean": 100.0 + epoch})
        losses = {"loss_denoising": 1 / epoch, "loss_rew": 0.5, "harmony_s1": -0.1 * epoch, "grad_norm": 2.0}
        losses |= {"accuracy_end": 0.99, "f1_end_yes": 0.125, "precision_end_yes": 0.5, "recall_end_yes": 0.25}
        losses |= {"f1_rew_zero": 0.9, "f1_rew_positive": 0.5}
        rows.append(row | {f"world_model/{name}": value for name, value in losses.items()})
        rows.append(row | {"actor_critic/policy_entropy": 2.0, "actor_critic/seconds_per_update": 0.1})
        rows.append(row | {"seconds/collect": 720.0, "seconds/world_model": 2880.0, "memory/device_bytes": 3e9})
        if epoch % 5 == 0:
            test = {"test/return_mean": float(epoch), "test/return_std": 6.0, "test/num_games": 5.0}
            test |= {"test_world_model/loss_denoising": 2 / epoch, "test_world_model/pixel_error": 3.0}
            rows.append(row | test | {"test_world_model/pixel_error_repeat_last": 4.0})
    return rows


def write_dream(folder: Path) -> None:
    """Pictures and figures as a run draws them after a test."""
    real = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    starts = []
    for number, title in enumerate(("best", "median", "worst")):
        start = {"title": title, "pixel_error": 2.5 + number}
        start |= {"strip": f"imagination-{title}.png", "film": f"imagination-{title}.gif"}
        draw_filmstrip(real, real[::-1], folder / start["strip"], num_context=2)
        draw_gif(real, real[::-1], folder / start["film"], num_context=2)
        starts.append(start)
    draw_filmstrip(real, real, folder / "denoising.png")
    horizon = {"steps": [1, 2, 3], "num_starts": [8, 8, 4], "pixel_error": [1.0, 2.0, 4.0]}
    horizon |= {"pixel_error_repeat": [2.0, 3.0, 3.5], "reward_f1": [None, 0.5, 0.25], "end_f1": [None] * 3}
    bins = {"predicted": [0.1, 0.9], "observed": [0.2, 0.8], "count": [90, 10]}
    bins = {name: [*values, None if name != "count" else 0] for name, values in bins.items()}
    calibration = {"reward": bins, "end": {"predicted": [], "observed": [], "count": []}}
    tree = {"epoch": 15, "env_steps": 11_500, "starts": starts, "horizon": horizon, "calibration": calibration}
    (folder / "dream.json").write_text(json.dumps(tree | {"denoising": "denoising.png"}))


def write_exam(folder: Path) -> None:
    """An evaluation of 100 games."""
    folder.mkdir()
    film = np.zeros((2, 8, 8, 3), np.uint8)
    draw_gif(film, film, folder / "epoch-15-seed-0-best.gif")
    agent = {"num_games": 100, "return_mean": 25.25, "return_standard_error": 1.5, "return_interval": [22.5, 28.0]}
    agent |= {"human_normalised_score": 0.818, "length_mean": 812.5}
    random = {"num_games": 100, "return_mean": 1.5, "return_standard_error": None, "return_interval": None}
    random |= {"length_mean": 180.0}
    films = {"best": {"game": 3, "return": 41.0, "files": ["epoch-15-seed-0-best.gif"]}}
    card = {"id": "breakout", "agent": agent, "random": random, "films": films}
    (folder / "epoch-15-seed-0.json").write_text(json.dumps(card))
