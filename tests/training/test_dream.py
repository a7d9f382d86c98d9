"""What a run's report holds of its world model's dreams, with one that follows a known rule."""

import json
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from PIL import Image

from edeline_jax.evaluation.film import Film
from edeline_jax.training.dream import best_median_worst, draw_dream
from edeline_jax.workdir.progress import Progress
from tests.evaluation.replays import L, restless, setup_of
from tests.world_model.rules import repeat_newest

PROGRESS = Progress(epoch=7, env_steps=4_100)


def dream(folder: Path, lengths: list[list[int]]) -> list[str]:
    paths = draw_dream(epath.Path(folder), {}, restless(lengths), PROGRESS, 0, setup_of(repeat_newest))
    assert sorted(path.name for path in paths) == sorted(path.name for path in folder.iterdir())
    return [path.name for path in paths]


def test_the_figures_name_the_pictures(tmp_path: Path) -> None:
    dream(tmp_path, [[30, 7, 25], [12, 44]])
    figures = json.loads((tmp_path / "dream.json").read_text())
    assert (figures["epoch"], figures["env_steps"], figures["num_starts"]) == (7, 4_100, 5)
    assert [start["title"] for start in figures["starts"]] == ["best", "median", "worst"]
    errors = [start["pixel_error"] for start in figures["starts"]]
    assert errors == sorted(errors) and errors[0] < errors[2]
    sizes = []
    for start in figures["starts"]:
        with Image.open(tmp_path / start["strip"]), Image.open(tmp_path / start["film"]) as film:
            sizes.append(film.n_frames)
    assert set(sizes) <= {7, 12, L + 16} and len(sizes) == 3
    with Image.open(tmp_path / figures["denoising"]) as picture:
        assert picture.width > picture.height
    horizon, calibration = figures["horizon"], figures["calibration"]
    assert horizon["steps"] == [1, 2, 5, 10, 20] and {len(values) for values in horizon.values()} == {5}
    assert {
        len(calibration[event][name]) for event in ("reward", "end") for name in ("predicted", "observed", "count")
    } == {10}
    for name in ("horizon_picture", "calibration_picture"):
        with Image.open(tmp_path / figures[name]) as picture:
            assert np.asarray(picture.convert("RGB")).std() > 10


def test_without_a_frame_to_imagine_nothing_is_drawn(tmp_path: Path) -> None:
    assert dream(tmp_path, [[L, L], [L - 1]]) == []


@pytest.mark.parametrize(
    ("count", "titles"),
    [
        (1, {"median": 0}),
        (2, {"best": 0, "median": 1}),
        (3, {"best": 0, "median": 1, "worst": 2}),
        (8, {"best": 0, "median": 4, "worst": 7}),
    ],
)
def test_the_best_the_median_and_the_worst_are_drawn(count: int, titles: dict[str, int]) -> None:
    films = [Film(None, None, None, float(error)) for error in range(count)]
    assert {title: film.pixel_error for title, film in best_median_worst(films).items()} == titles
