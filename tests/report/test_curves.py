import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edeline_jax.report import curves


def metrics_rows(num_epochs: int) -> list[dict[str, float]]:
    """A short run: 100 steps and 400 updates an epoch, every other epoch tested."""
    rows = []
    for epoch in range(1, num_epochs + 1):
        row = {"epoch": epoch, "env_steps": 5000 + 100 * epoch, "wall_time": 60.0 * epoch}
        row |= {"world_model_updates": 400 * epoch, "actor_critic_updates": 300 * epoch}
        row |= {"collect/return_mean": float(epoch), "world_model/loss_denoising": 1 / epoch}
        row |= {"world_model/grad_norm": math.nan if epoch == 2 else 1.0, "actor_critic/loss_values": 1 / epoch}
        if epoch % 2 == 0:
            row |= {
                "test/return_mean": 2.0 * epoch,
                "test/return_std": 1.0,
                "test_world_model/loss_denoising": 2 / epoch,
            }
        rows.append(row)
    return rows


def write_metrics(path: Path, rows: list[dict[str, float]], tail: str = "") -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return path


def only_groups(rows: list[dict[str, float]], *groups: str) -> list[dict[str, float]]:
    return [{key: row[key] for key in row if "/" not in key or key.split("/")[0] in groups} for row in rows]


def plotted(axes) -> dict[str, np.ndarray]:
    """Label of each curve of a panel to its points, [N, 2]."""
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_every_group_gives_a_picture(tmp_path: Path):
    metrics = write_metrics(tmp_path / "metrics.jsonl", metrics_rows(6))
    paths = curves.draw_curves(metrics, tmp_path / "pictures")
    assert [path.name for path in paths] == ["returns.png", "world_model.png", "actor_critic.png"]
    assert sorted(paths) == sorted((tmp_path / "pictures").iterdir())
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        assert min(pixels.shape[:2]) > 200 and pixels.std() > 10, f"{path.name} is small or empty"


@pytest.mark.parametrize(
    ("groups", "pictures"),
    [
        ((), []),
        (("test",), ["returns.png"]),
        (("collect",), ["returns.png"]),
        (("world_model",), ["world_model.png"]),
        (("collect", "actor_critic"), ["returns.png", "actor_critic.png"]),
    ],
)
def test_a_missing_group_gives_no_picture(tmp_path: Path, groups: tuple[str, ...], pictures: list[str]):
    metrics = write_metrics(tmp_path / "metrics.jsonl", only_groups(metrics_rows(4), *groups))
    assert [path.name for path in curves.draw_curves(metrics, tmp_path)] == pictures


def test_an_empty_file_gives_no_picture(tmp_path: Path):
    assert curves.draw_curves(write_metrics(tmp_path / "metrics.jsonl", []), tmp_path) == []


def test_a_line_cut_short_is_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    rows = metrics_rows(3)
    metrics = write_metrics(tmp_path / "metrics.jsonl", rows, tail='{"epoch": 4, "env_st')
    with caplog.at_level(logging.WARNING):
        assert [row["epoch"] for row in curves.read_rows(metrics)] == [1, 2, 3]
    assert "line 4" in caplog.text


def test_a_resumed_run_replaces_what_it_repeats_and_what_was_lost(tmp_path: Path):
    rows = metrics_rows(4)
    again = [row | {"collect/return_mean": value} for row, value in zip(rows[2:], (99.0, 98.0), strict=True)]
    resumed = write_metrics(tmp_path / "resumed.jsonl", [*rows, again[0]])
    assert [row["collect/return_mean"] for row in curves.read_rows(resumed)] == [1.0, 2.0, 99.0]
    further = write_metrics(tmp_path / "further.jsonl", [*rows, *again])
    assert [row["collect/return_mean"] for row in curves.read_rows(further)] == [1.0, 2.0, 99.0, 98.0]


def test_lines_after_a_checkpoint_are_left_out(tmp_path: Path):
    """In between, a run went back to the checkpoint at 150 s of training and wrote line 3 again with other updates."""
    rows = metrics_rows(3)
    lost = rows[1] | {"wall_time": 170.0, "collect/return_mean": 99.0}
    metrics = write_metrics(tmp_path / "metrics.jsonl", [*rows[:2], lost, {"epoch": 7}, rows[2] | {"wall_time": 160.0}])
    assert [row["collect/return_mean"] for row in curves.read_rows(metrics)] == [1.0, 99.0, 3.0]
    metrics = write_metrics(tmp_path / "metrics.jsonl", [*rows[:2], lost, rows[2] | {"wall_time": 160.0004}])
    # the test of an epoch is written at the very second of its checkpoint, the last update perhaps 0.1 ms before it
    assert [row["collect/return_mean"] for row in curves.read_rows(metrics)] == [1.0, 2.0, 3.0]
    assert [row["collect/return_mean"] for row in curves.read_rows(metrics, before=160.0005)] == [1.0, 2.0, 3.0]
    assert [row["collect/return_mean"] for row in curves.read_rows(metrics, before=160.0004)] == [1.0, 2.0]


def test_returns_are_drawn_against_environment_steps():
    (axes,) = curves.returns_figure(metrics_rows(4)).axes
    collect, test = plotted(axes).values()
    np.testing.assert_allclose(collect, [[5100, 1], [5200, 1.5], [5300, 2], [5400, 2.5]])  # mean of all so far
    np.testing.assert_allclose(test, [[5200, 4], [5400, 8]])
    bars = np.stack(axes.collections[-1].get_segments())  # [N, ends, xy]
    np.testing.assert_allclose(bars[..., 1], [[3, 5], [7, 9]])


def test_panels_use_the_counter_of_their_group_and_skip_nan():
    rows = metrics_rows(4)
    loss, norm = curves.panels_figure(rows, "world_model").axes
    assert (loss.get_title("left"), norm.get_title("left")) == ("loss denoising", "grad norm")
    np.testing.assert_allclose(plotted(loss)["train"], [[400, 1], [800, 1 / 2], [1200, 1 / 3], [1600, 1 / 4]])
    np.testing.assert_allclose(plotted(loss)["test"], [[800, 1], [1600, 1 / 2]])
    np.testing.assert_allclose(plotted(norm)["train"], [[400, 1], [1200, 1], [1600, 1]])
    (values,) = curves.panels_figure(rows, "actor_critic").axes
    np.testing.assert_allclose(plotted(values)["train"][:, 0], [300, 600, 900, 1200])


def test_of_rewards_and_ends_only_f1_has_a_panel():
    names = ("recall_rew", "precision_end_yes", "recall_end_yes", "f1_end_yes", "accuracy_end")
    rows = [row | {f"world_model/{name}": 0.5 for name in names} for row in only_groups(metrics_rows(4))]
    panels = curves.panels_figure(rows, "world_model").axes
    assert [axes.get_title("left") for axes in panels] == ["f1 end yes", "accuracy end"]


def test_running_mean_is_the_mean_of_the_last_values():
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0])
    expected = [values[max(0, stop - 3) : stop].mean() for stop in range(1, 7)]
    np.testing.assert_allclose(curves.running_mean(values, 3), expected)


def test_import_does_not_load_the_drawing_libraries():
    modules = "edeline_jax.report.curves, edeline_jax.report.dream, edeline_jax.report.filmstrip"
    code = f"import sys, {modules}; print({{'matplotlib', 'PIL'}} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
