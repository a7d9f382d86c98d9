"""Learning curves of a run, drawn from its metrics file.

The file holds JSON lines. Each has the counters `epoch`, `env_steps`, `wall_time` (seconds), `world_model_updates` and
`actor_critic_updates`, and any floats named `<group>/<name>`.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
from etils.epath import Path

from edeline_jax.report.runs import Row, read_rows
from edeline_jax.runtime.files import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


TRAIN_COLOUR = "#2a6f97"
TEST_COLOUR = "#d1603d"
PANELS_PER_LINE = 3
SMOOTHED_EPOCHS = 20  # few episodes end in one epoch's 100 steps, so its return is noisy


def draw_curves(metrics_path: Path, folder: Path) -> list[Path]:
    """Draws a picture for each group in the metrics file into `folder`; returns their paths."""
    rows = read_rows(metrics_path)
    figures = {
        "returns.png": returns_figure(rows),
        "world_model.png": panels_figure(rows, "world_model"),
        "actor_critic.png": panels_figure(rows, "actor_critic"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    figures = {folder / name: figure for name, figure in figures.items() if figure is not None}
    for path, figure in figures.items():
        with writing(path) as file:
            figure.savefig(file, format="png")
    return list(figures)


def series(rows: list[Row], counter: str, *metrics: str) -> np.ndarray:
    """The counter and metrics of the rows whose first metric is finite, float64 [1 + number of metrics, N]."""
    names = (counter, *metrics)
    table = np.array([[row.get(name, np.nan) for name in names] for row in rows], dtype=np.float64)
    table = table.reshape(-1, len(names))  # no rows: [0, names]
    return table[np.isfinite(table[:, 1])].T


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last `window` values at each place, or of as many as there are at the start: [N] -> [N]."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    stops = np.arange(1, len(values) + 1)
    starts = np.maximum(stops - window, 0)
    return (sums[stops] - sums[starts]) / (stops - starts)


def returns_figure(rows: list[Row]) -> "Figure | None":
    """Returns of the collected and of the test episodes against environment steps."""
    from matplotlib.figure import Figure  # only drawing pays for the import; no pyplot, so no global state

    steps, returns = series(rows, "env_steps", "collect/return_mean")
    test = series(rows, "env_steps", "test/return_mean", "test/return_std")
    if not returns.size and not test.size:
        return None
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    if returns.size:
        smooth = running_mean(returns, SMOOTHED_EPOCHS)
        axes.scatter(steps, returns, s=8, color=TRAIN_COLOUR, alpha=0.3, linewidths=0)
        axes.plot(steps, smooth, color=TRAIN_COLOUR, label=f"collected episodes, mean over {SMOOTHED_EPOCHS} epochs")
    if test.size:
        steps, mean, spread = test
        axes.vlines(steps, mean - spread, mean + spread, color=TEST_COLOUR, alpha=0.35, linewidth=1.5)
        axes.plot(
            steps, mean, "o-", color=TEST_COLOUR, markersize=3.5, label="test episodes, mean ± standard deviation"
        )
    finish_axes(axes, "", "environment steps", "episode return (game score)")
    figure.legend(frameon=False, loc="outside upper left", ncols=2)
    return figure


def panels_figure(rows: list[Row], group: str) -> "Figure | None":
    """A panel per metric of a group against the group's update counter, with the metric of `test_<group>` on top."""
    from matplotlib.figure import Figure

    # of the figures of rewards and ends F1 stands for precision and recall, which would be ten panels more
    names = [name for name in metric_names(rows, group) if not name.startswith(("precision_", "recall_"))]
    if not names:
        return None
    columns = min(PANELS_PER_LINE, len(names))
    lines = math.ceil(len(names) / columns)
    figure = Figure(figsize=(3.6 * columns, 2.5 * lines), dpi=120, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):  # the last line may have unused panels
        draw_metric(axes, rows, group, name)
    for axes in panels[len(names) :]:
        axes.remove()
    return figure


def metric_names(rows: list[Row], group: str) -> list[str]:
    """Names of a group's metrics, without the group, in the order in which they first appear."""
    names = (key.removeprefix(f"{group}/") for row in rows for key in row if key.startswith(f"{group}/"))
    return list(dict.fromkeys(names))


def draw_metric(axes: "Axes", rows: list[Row], group: str, name: str) -> None:
    """The train curve of a metric, and the test curve if there is one."""
    counter = f"{group}_updates"
    train = series(rows, counter, f"{group}/{name}")
    test = series(rows, counter, f"test_{group}/{name}")
    marker = "." if train.shape[1] < SMOOTHED_EPOCHS else ""  # a line alone would not show a single epoch
    axes.plot(*train, color=TRAIN_COLOUR, marker=marker, linewidth=0.9, label="train")
    if test.size:
        axes.plot(*test, "o-", color=TEST_COLOUR, linewidth=0.9, markersize=2.5, label="test")
        axes.legend(frameon=False, fontsize="small")
    finish_axes(axes, name.replace("_", " "), f"{group.replace('_', '-')} updates", "")


def finish_axes(axes: "Axes", title: str, x_label: str, y_label: str) -> None:
    """Adds labels and a light grid behind the curves, removes the box, and writes counts like 20k."""
    from matplotlib.ticker import EngFormatter

    axes.set_title(title, loc="left", fontsize="medium")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
