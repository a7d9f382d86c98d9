"""Figures of how good the world model is: pixel errors against the horizon, and what its probabilities are worth."""

from typing import TYPE_CHECKING, Any

from etils.epath import Path

from edeline_jax.report.curves import TEST_COLOUR, TRAIN_COLOUR, finish_axes
from edeline_jax.runtime.files import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_horizon(horizon: dict[str, list], path: Path) -> None:
    """Writes a PNG of `horizon_figure`."""
    _save(horizon_figure(horizon), path)


def draw_calibration(calibration: dict[str, dict[str, Any]], path: Path) -> None:
    """Writes a PNG of `calibration_figure`."""
    _save(calibration_figure(calibration), path)


def horizon_figure(horizon: dict[str, list]) -> "Figure":
    """The pixel error of the world model and of repeating the last real frame against imagined steps.

    Args:
      horizon: see `evaluation.horizon`; of it steps, num_starts, pixel_error and pixel_error_repeat.
    """
    from matplotlib.figure import Figure  # only drawing pays for the import
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(6, 3.8), dpi=120, layout="constrained")
    axes = figure.subplots()
    steps = horizon["steps"]
    axes.plot(steps, horizon["pixel_error"], "o-", color=TRAIN_COLOUR, markersize=3.5, label="world model")
    axes.plot(
        steps,
        horizon["pixel_error_repeat"],
        "o--",
        color=TEST_COLOUR,
        markersize=3.5,
        label="the last real frame, repeated",
    )
    axes.set_xscale("log")
    finish_axes(axes, "", "imagined steps (number of starts below)", "pixel error (RMS, levels of 0..255)")
    labels = [f"{n}\n({starts})" for n, starts in zip(steps, horizon["num_starts"], strict=True)]
    axes.set_xticks(steps, labels)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def calibration_figure(calibration: dict[str, dict[str, Any]]) -> "Figure":
    """The observed share against the predicted probability of rewards and ends, with their number at each point.

    Args:
      calibration: of each event the bins' predicted, observed and count; see `evaluation.horizon`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    figure = Figure(figsize=(7.2, 3.8), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(calibration), squeeze=False)[0]
    for axes, (event, bins) in zip(panels, calibration.items(), strict=True):
        filled = [place for place, count in enumerate(bins["count"]) if count]
        predicted, observed = ([bins[name][place] for place in filled] for name in ("predicted", "observed"))
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.9, label="as often as predicted")
        axes.plot(predicted, observed, "o-", color=TRAIN_COLOUR, markersize=4, label="world model, number of steps")
        for x, y, place in zip(predicted, observed, filled, strict=True):
            text = f"{bins['count'][place]:,}"
            axes.annotate(text, (x, y), xytext=(0, 6), textcoords="offset points", fontsize="xx-small", rotation=60)
        finish_axes(axes, event, "predicted probability", "observed share")
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.set_xlim(-0.03, 1.1)
        axes.set_ylim(-0.03, 1.1)
    panels[0].legend(frameon=False, fontsize="small")
    return figure


def _save(figure: "Figure", path: Path) -> None:
    with writing(path) as file:
        figure.savefig(file, format="png")
