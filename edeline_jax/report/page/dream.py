"""What a run left about its dream: films real against imagined, and errors against the horizon."""

import json
import math
from typing import Any, NamedTuple

import numpy as np

from edeline_jax.report.page.album import Album, Picture
from edeline_jax.report.page.run_charts import Line, calibration_panel, lines_panel
from edeline_jax.report.page.svg import INK, MUTED, Chart
from edeline_jax.report.runs import UNUSABLE
from edeline_jax.runtime.errors import one_line
from edeline_jax.workdir.folder import RunFolder

STRIP, FILM = "imagination.png", "imagination.gif"  # of runs that leave nothing else


class Start(NamedTuple):
    """A dream from one start beside what happened: the frames in a row, and as a film."""

    title: str
    error: float | None  # of the pixels, grey levels of 255
    strip: Picture
    film: Picture


class Dream(NamedTuple):
    """The quality of the dream. `notes` say what is not there and why."""

    when: str
    starts: list[Start]
    charts: list[Chart]
    denoising: Picture | None
    notes: list[str]


def read_dream(folder: RunFolder, model_free: bool, album: Album) -> Dream:
    """What `report/dream.json` says, or the one film that earlier runs left."""
    try:
        tree = json.loads((folder.report / "dream.json").read_text())
        return _dream(tree, folder, album)
    except FileNotFoundError:
        return _one_film(folder, model_free, album)
    except UNUSABLE as error:
        dream = _one_film(folder, model_free, album)
        return dream._replace(notes=[f"dream.json cannot be read: {one_line(error)}", *dream.notes])


def pixel_errors(folder: RunFolder) -> tuple[np.ndarray, np.ndarray] | None:
    """The imagined steps and the pixel error at each, [N]; None where `report/dream.json` does not say them."""
    try:
        horizon = json.loads((folder.report / "dream.json").read_text())["horizon"]
        steps = _numbers(horizon["steps"])
        errors = _numbers(horizon["pixel_error"], len(steps))
    except UNUSABLE:
        return None
    return (steps, errors) if np.isfinite(errors).any() else None


def _dream(tree: dict[str, Any], folder: RunFolder, album: Album) -> Dream:
    starts = [
        Start(
            str(start["title"]),
            _number(start.get("pixel_error")),
            album.picture(folder.report, start["strip"]),
            album.picture(folder.report, start["film"]),
        )
        for start in tree.get("starts") or ()
    ]
    charts, notes = [], []
    for chart in (_horizon_charts, _calibration_charts):
        try:
            charts += chart(tree)
        except UNUSABLE as error:
            notes.append(f"a part of dream.json cannot be drawn: {one_line(error)}")
    denoising = album.picture(folder.report, tree["denoising"]) if tree.get("denoising") else None
    when = f"after epoch {int(tree['epoch']):,}, {int(tree['env_steps']):,} environment steps"
    return Dream(when, starts, charts, denoising, notes)


def _one_film(folder: RunFolder, model_free: bool, album: Album) -> Dream:
    nothing = Dream("", [], [], None, [])
    if model_free:
        return nothing._replace(notes=["This run learns without a world model: there is no dream."])
    strip, film = (album.picture(folder.report, name) for name in (STRIP, FILM))
    if not strip.source and not film.source:
        note = "The first films come with the first test that is at least five minutes after the start."
        return nothing._replace(notes=[note])
    return nothing._replace(starts=[Start("one start", None, strip, film)])


def _horizon_charts(tree: dict[str, Any]) -> list[Chart]:
    horizon = tree.get("horizon")
    if not horizon:
        return []
    steps, step = _numbers(horizon["steps"]), "imagined step"
    charts = []
    pixels = {"pixel_error": ("o-", None), "pixel_error_repeat": ("--", MUTED)}
    lines = [
        Line(steps, _numbers(horizon[name], len(steps)), style, *[colour] if colour else [])
        for name, (style, colour) in pixels.items()
        if horizon.get(name)
    ]
    if lines:
        charts.append(lines_panel("Pixel error along the dream", lines, step, "grey levels of 255"))
    rates = {"reward_f1": "F1 of rewards along the dream", "end_f1": "F1 of ends along the dream"}
    for name, title in rates.items():
        values = _numbers(horizon.get(name) or (), len(steps))
        if np.isfinite(values).any():
            charts.append(lines_panel(title, [Line(steps, values)], step, "F1, 0 to 1", "share"))
    if horizon.get("num_starts"):
        starts = [Line(steps, _numbers(horizon["num_starts"], len(steps)), "o-", INK)]
        charts.append(lines_panel("Starts still going", starts, step, "starts"))
    return charts


def _calibration_charts(tree: dict[str, Any]) -> list[Chart]:
    charts = []
    for name, title in {"reward": "Calibration of rewards", "end": "Calibration of ends"}.items():
        bins = (tree.get("calibration") or {}).get(name)
        if bins and bins["predicted"]:
            predicted = _numbers(bins["predicted"])
            observed, number = (_numbers(bins[key], len(predicted)) for key in ("observed", "count"))
            known = np.isfinite(predicted) & np.isfinite(observed)  # a bin may be empty
            if known.any():
                charts.append(calibration_panel(title, predicted[known], observed[known], number[known]))
    return charts


def _numbers(values: Any, length: int | None = None) -> np.ndarray:
    """float64 [N], NaN where there is none; raises ValueError unless there are `length`, or none at all."""
    numbers = np.array([_number(value) for value in values], dtype=np.float64)
    if length is not None and len(numbers) not in (0, length):
        raise ValueError(f"{len(numbers)} values for {length} places")
    return numbers if len(numbers) or length is None else np.full(length, np.nan)


def _number(value: Any) -> float | None:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if fine and abs(value) < 1e30 else None
