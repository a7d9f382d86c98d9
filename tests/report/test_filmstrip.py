from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from edeline_jax.report import filmstrip


def noise_film(seed: int, shape: tuple[int, ...] = (5, 8, 8, 3)) -> np.ndarray:
    """Random frames, uint8 [T, H, W, 3]: each is found in a picture at one place only."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def block_film(seed: int, num_steps: int) -> np.ndarray:
    """Frames of four plain quarters, uint8 [T, 16, 16, 3]: few colours, which a GIF can keep."""
    return noise_film(seed, (num_steps, 2, 2, 3)).repeat(8, axis=1).repeat(8, axis=2)


def enlarged(frame: np.ndarray, scale: int) -> np.ndarray:
    return np.kron(frame, np.ones((scale, scale, 1), np.uint8))


def places(picture: np.ndarray, frame: np.ndarray, scale: int) -> list[tuple[int, int]]:
    """All (y, x) at which a frame, uint8 [H, W, 3], lies enlarged in a picture."""
    tile = enlarged(frame, scale)
    height, width, _ = tile.shape
    corners = picture[: 1 - height, : 1 - width]
    candidates = np.argwhere((corners == tile[0, 0]).all(axis=-1)).tolist()
    return [(y, x) for y, x in candidates if np.array_equal(picture[y : y + height, x : x + width], tile)]


def only_place(picture: np.ndarray, frame: np.ndarray, scale: int) -> tuple[int, int]:
    (found,) = places(picture, frame, scale)
    return found


def drawn_strip(folder: Path, *films: np.ndarray, **options: int) -> np.ndarray:
    filmstrip.draw_filmstrip(*films, folder / "strip.png", **options)
    return np.asarray(Image.open(folder / "strip.png"))


def test_the_frames_lie_in_rows_in_the_order_of_time(tmp_path: Path):
    real, imagined = noise_film(0), noise_film(1)
    difference = np.abs(real.astype(int) - imagined).astype(np.uint8)
    picture = drawn_strip(tmp_path, real, imagined, scale=3)
    spots = np.array([[only_place(picture, frame, 3) for frame in film] for film in (real, imagined, difference)])
    assert (spots[:, :, 0] == spots[:, :1, 0]).all(), "a row is not level"
    assert (spots[:, :, 1] == spots[:1, :, 1]).all(), "a column is not upright"
    assert (np.diff(spots[:, 0, 0]) > 8 * 3).all() and (np.diff(spots[0, :, 1]) > 8 * 3).all(), "frames touch"


def test_the_context_stands_apart_and_has_no_difference(tmp_path: Path):
    real, imagined = noise_film(0), noise_film(1)
    imagined[:2] = real[:2]
    picture = drawn_strip(tmp_path, real, imagined, scale=3, num_context=2)
    (upper, lower), _ = context = [places(picture, frame, 3) for frame in real[:2]]
    assert [len(spots) for spots in context] == [2, 2] and upper[1] == lower[1]
    columns = [spots[0][1] for spots in context] + [only_place(picture, frame, 3)[1] for frame in imagined[2:]]
    steps = np.diff(columns)
    assert steps[1] > steps[0] and (steps[[0, 2, 3]] == steps[0]).all()
    assert not places(picture, np.zeros_like(real[0]), 3), "the difference of the context is drawn"


def test_frames_of_64_pixels_are_doubled(tmp_path: Path):
    film = noise_film(0, (2, 64, 48, 3))
    picture = drawn_strip(tmp_path, film, noise_film(1, film.shape))
    assert places(picture, film[1], 2)


def test_the_gif_shows_every_step_side_by_side(tmp_path: Path):
    real, imagined = block_film(0, 6), block_film(1, 6)
    real[3], imagined[3] = real[2], imagined[2]  # a film that stands still keeps its steps
    filmstrip.draw_gif(real, imagined, tmp_path / "film.gif", fps=5, num_context=2)
    size = filmstrip.GIF_FRAME_HEIGHT
    top, left, right = filmstrip.MARGIN + filmstrip.LINE, filmstrip.MARGIN, filmstrip.MARGIN + size + filmstrip.GAP
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 6
        for step, frame in enumerate(ImageSequence.Iterator(gif)):
            assert frame.info["duration"] == 200  # ms
            pixels = np.asarray(frame.convert("RGB")).astype(int)[top : top + size]
            for film, start in ((real, left), (imagined, right)):
                error = np.abs(pixels[:, start : start + size] - enlarged(film[step], size // 16))
                assert error.max() <= 4, f"step {step}"  # 256 colours


def test_the_denoising_lies_in_one_row_in_the_order_of_the_sampler(tmp_path: Path):
    frames = noise_film(0, (4, 8, 8, 3))
    filmstrip.draw_denoising(frames, [5.0, 0.283, 0.002, 0.0], tmp_path / "denoising.png")
    picture = np.asarray(Image.open(tmp_path / "denoising.png"))
    spots = np.array([only_place(picture, frame, 16) for frame in frames])
    assert (spots[:, 0] == spots[0, 0]).all() and (np.diff(spots[:, 1]) > 8 * 16).all()
    above = picture[: spots[0, 0]].min(-1)  # one text over each frame, and nothing between them
    for left in spots[:, 1]:
        assert (above[:, left : left + 8 * 16] < 128).any()
    with pytest.raises(ValueError, match="zip"):
        filmstrip.draw_denoising(frames, [5.0], tmp_path / "wrong.png")


@pytest.mark.parametrize("size", [20, 64])
def test_even_a_film_of_noise_makes_a_small_gif(tmp_path: Path, size: int):
    """Of frames as large as the paper's, and as many as a run's films have."""
    real = np.zeros((20, size, size, 3), np.uint8)
    imagined = np.concatenate([real[:4], noise_film(0, (16, size, size, 3))])
    filmstrip.draw_gif(real, imagined, tmp_path / "film.gif", num_context=4)
    assert (tmp_path / "film.gif").stat().st_size < 300_000


def test_steps_are_numbered_from_the_first_imagined_frame():
    captions = [filmstrip.gif_caption(step, num_context=2) for step in range(4)]
    assert captions == ["context -1", "context 0", "imagined step 1", "imagined step 2"]


@pytest.mark.parametrize(
    "imagined",
    [noise_film(1, (4, 8, 8, 3)), noise_film(1).astype(np.float32), noise_film(1)[..., :1]],
    ids=["length", "dtype", "channels"],
)
def test_other_films_are_refused(tmp_path: Path, imagined: np.ndarray):
    with pytest.raises(ValueError, match="a film is"):
        filmstrip.draw_filmstrip(noise_film(0), imagined, tmp_path / "strip.png")
    assert not list(tmp_path.iterdir())
