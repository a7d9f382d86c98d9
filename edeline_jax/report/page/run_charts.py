"""The charts of one run's metrics."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edeline_jax.report.curves import SMOOTHED_EPOCHS, running_mean, series
from edeline_jax.report.page.quantities import quantity
from edeline_jax.report.page.svg import ACCENT, GRID, INK, MUTED, PAPER, Chart, Margins, counts, label, large, panel
from edeline_jax.report.runs import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 240  # of a curve; where there are more, each stands for a stretch of them
MOST_BARS = 48
NORMAL_95 = 1.96  # standard errors from the mean to each end of its 95 % interval
LINES = {"EDELINE": "-", "DIAMOND": "--", "Human": "-.", "Random": ":"}  # system -> line style
LOG_FROM = 30.0  # ratio of the largest to the smallest value from which the axis of a loss or norm is logarithmic
LOGARITHMIC = ("loss", "mean squared error", "squared error", "cross-entropy, nats", "norm")  # units
MOST_MARKERS = 24  # of a line; beyond, they would hide it


class Counter(NamedTuple):
    """What an x axis counts: its name in the rows, its unit for people, and the factor to that."""

    name: str
    unit: str
    factor: float = 1.0


class Curve(NamedTuple):
    """A curve of `MOST_POINTS` points at most: means of stretches, and the least and largest value in each, [N]."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def thinned(x: np.ndarray, y: np.ndarray) -> Curve:
    """The curve of the points [N]."""
    parts = [part for part in np.array_split(np.arange(len(x)), min(MOST_POINTS, len(x))) if len(part)]
    mean = np.array([y[part].mean() for part in parts])
    low, high = (np.array([end(y[part]) for part in parts]) for end in (np.min, np.max))
    return Curve(np.array([x[part].mean() for part in parts]), mean, low, high)


def learning_curve(rows: list[Row], published: Mapping[str, float]) -> Chart | None:
    """Returns against environment steps, with the published scores as lines; None without any return."""
    collected = series(rows, "env_steps", "collect/return_mean")
    test = series(rows, "env_steps", "test/return_mean", "test/return_std", "test/num_games")
    if not collected.size and not test.size:
        return None

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        if collected.size:
            steps, returns = collected
            axes.scatter(steps, returns, s=7, color=ACCENT, alpha=0.3, linewidths=0)
            smooth = thinned(steps, running_mean(returns, SMOOTHED_EPOCHS))
            axes.plot(smooth.x, smooth.mean, color=ACCENT)
        if test.size:
            steps, mean, std, games = test
            error = NORMAL_95 * std / np.sqrt(np.maximum(games - 1, 1))
            axes.errorbar(steps, mean, np.nan_to_num(error), fmt="none", ecolor=INK, elinewidth=1.2)
            axes.plot(steps, mean, color=INK, linewidth=1.2, markerfacecolor=PAPER, **_markers(steps))
        axes.margins(x=0.02)
        _reference_lines(axes, {system: published[system] for system in LINES if system in published})
        label(axes, "environment steps", "return (game score)")
        counts(axes)

    return large("Learning curve", draw, Margins(right=92))


def _reference_lines(axes: "Axes", values: Mapping[str, float]) -> None:
    """A level line for each system with its name at the right end, moved up where two would touch."""
    for system, value in values.items():
        axes.axhline(value, color=MUTED, linewidth=1.0, linestyle=LINES[system])
    low, high = axes.get_ylim()
    height, last = 0.065 * (high - low), -np.inf
    for system, value in sorted(values.items(), key=lambda item: item[1]):
        last = max(value, last + height)
        axes.annotate(
            f"{system} {value:,.1f}",
            (1, last),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=MUTED,
            annotation_clip=False,
        )


def metric_panel(rows: list[Row], counter: Counter, group: str, name: str, whose: str = "") -> Chart | None:
    """A value of a group, and the same of its tests; None if it has no number. `whose` goes into the title."""
    shown = quantity(name)
    key, unit, factor = counter
    train = series(rows, key, f"{group}/{name}")
    test = series(rows, key, f"test_{group}/{name}")
    repeat = series(rows, key, f"test_{group}/{name}_repeat_last")
    if not train.size and not test.size:
        return None

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        if train.size:
            curve = thinned(train[0] * factor, train[1] * shown.factor)
            axes.fill_between(curve.x, curve.low, curve.high, color=ACCENT, alpha=0.16, linewidth=0)
            axes.plot(curve.x, curve.mean, color=ACCENT, **_markers(curve.x))
        if repeat.size:
            axes.plot(repeat[0] * factor, repeat[1] * shown.factor, color=MUTED, linestyle="--", linewidth=1.2)
        if test.size:
            tests = (test[0] * factor, test[1] * shown.factor)
            axes.plot(*tests, color=INK, linewidth=1.2, markerfacecolor=PAPER, **_markers(test[0]))
        both = np.concatenate([part[1] for part in (train, test, repeat) if part.size])
        scale = _scale(axes, both, shown.unit)
        label(axes, unit, f"{shown.unit}{scale}")
        if factor == 1.0:
            counts(axes)

    return panel(f"{shown.title}, {whose}" if whose else shown.title, draw)


def _markers(points: np.ndarray) -> dict[str, Any]:
    return {"marker": "o" if len(points) <= MOST_MARKERS else "", "markersize": 3.5}


def _scale(axes: "Axes", values: np.ndarray, unit: str) -> str:
    """Makes the y axis logarithmic where losses spread far, and shares 0 to 1; returns what the label adds."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if unit.startswith("share"):
        axes.set_ylim(-0.03, 1.03)
    elif unit in LOGARITHMIC and values.min() > 0 and values.max() / values.min() > LOG_FROM:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        return ", log scale"
    return ""


def time_chart(rows: list[Row], phases: list[str]) -> Chart | None:
    """The share of each phase in the time of the epochs; None before the first epoch ends."""
    table = np.array([[row.get(f"seconds/{phase}", 0.0) for phase in phases] for row in rows if _is_lap(row)])
    if not table.size:
        return None
    epochs = np.array([row["epoch"] for row in rows if _is_lap(row)])
    parts = np.array_split(np.arange(len(epochs)), min(MOST_BARS, len(epochs)))
    seconds = np.stack([table[part].sum(0) for part in parts], -1)
    shares = 100 * seconds / np.maximum(seconds.sum(0), 1e-9)
    middles, widths = (np.array([value(epochs[part]) for part in parts]) for value in (np.mean, np.ptp))

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        bottom = np.zeros(len(parts))
        for shade, share in zip(shades(len(phases)), shares, strict=True):
            axes.bar(middles, share, 0.86 * (widths + 1), bottom, color=ACCENT, alpha=shade, linewidth=0)
            bottom += share
        axes.set_ylim(0, 100)
        axes.grid(False)
        label(axes, "epoch", "share of the time (%)")
        counts(axes)

    return large("Where the time went", draw, Margins(), (1080, 300), (358, 260))


def shades(number: int) -> list[float]:
    """Opacities of as many phases."""
    return np.geomspace(1.0, 0.1, max(number, 5))[:number].tolist()


def _is_lap(row: Row) -> bool:
    return any(name.startswith("seconds/") for name in row)


class Line(NamedTuple):
    """A curve of a small chart: its points, [N] each, and its looks."""

    x: np.ndarray
    y: np.ndarray
    style: str = "o-"
    colour: str = ACCENT


def lines_panel(title: str, lines: list[Line], x_label: str, y_label: str, unit: str = "") -> Chart:
    """Curves over a common axis."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for line in lines:
            axes.plot(line.x, line.y, line.style, color=line.colour, markersize=3.5, linewidth=1.4)
        _scale(axes, np.array([1.0]), unit)
        label(axes, x_label, y_label)
        axes.xaxis.get_major_locator().set_params(integer=True)

    return panel(title, draw)


def calibration_panel(title: str, predicted: np.ndarray, observed: np.ndarray, number: np.ndarray) -> Chart:
    """How often something happened where it was predicted with a probability; larger dots stand for more steps."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.2)
        size = 12 + 60 * np.sqrt(number / max(number.max(), 1))
        axes.plot(predicted, observed, color=ACCENT, linewidth=1.0, alpha=0.5)
        axes.scatter(predicted, observed, s=size, color=ACCENT, linewidths=0)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        label(axes, "predicted probability", "observed share")

    return panel(title, draw)
