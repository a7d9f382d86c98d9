"""Films of games: the frames of the game, enlarged."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from edeline_jax.evaluation.video import FPS, HEIGHT, write_film
from edeline_jax.runtime.files import to_path


def blocks(num_frames: int, size: int = 20) -> np.ndarray:
    """Frames of four plain quarters, uint8 [T, size, size, 3]: few colours, which a GIF can keep."""
    quarters = np.random.default_rng(0).integers(0, 256, (num_frames, 2, 2, 3), dtype=np.uint8)
    return quarters.repeat(size // 2, 1).repeat(size // 2, 2)


def enlarged(frame: np.ndarray, scale: int) -> np.ndarray:
    return np.kron(frame, np.ones((scale, scale, 1), np.uint8))


@pytest.fixture
def without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)


def shown(path: Path) -> list[tuple[np.ndarray, int]]:
    """The pictures of a GIF, and for how many milliseconds each is shown."""
    with Image.open(path) as gif:
        return [
            (np.asarray(frame.convert("RGB")).astype(int), frame.info["duration"])
            for frame in ImageSequence.Iterator(gif)
        ]


def test_the_gif_shows_the_games_frames(tmp_path: Path, without_ffmpeg: None) -> None:
    """A picture that stands still is stored once, and shown for as long."""
    frames = blocks(6)
    frames[3] = frames[2]
    (path,) = write_film(frames, to_path(str(tmp_path)), "best")
    assert path.name == "best.gif"
    pictures = shown(Path(path))
    unit = pictures[0][1]
    assert abs(unit - 1000 / FPS) < 10
    steps = [picture for picture, duration in pictures for _ in range(duration // unit)]
    assert len(steps) == 6
    for step, picture in enumerate(steps):
        assert picture.shape[0] == 20 * round(HEIGHT / 20)
        error = np.abs(picture - enlarged(frames[step], round(HEIGHT / 20)))
        assert error.max() <= 4, f"step {step}"  # 256 colours


def test_the_mp4_gets_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an encoder that writes what it gets; the format needs even sides."""

    def write_frames(path: str, size: tuple[int, int], **options: object):
        assert size == (240, 240) and options["fps"] == FPS
        with open(path, "wb") as file:
            while True:
                try:
                    file.write((yield) or b"")
                except GeneratorExit:
                    return

    encoder = types.ModuleType("imageio_ffmpeg")
    encoder.write_frames, encoder.__spec__ = write_frames, types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", encoder)
    frames = blocks(3)
    gif, mp4 = write_film(frames, to_path(str(tmp_path)), "best")
    assert (gif.name, mp4.name) == ("best.gif", "best.mp4")
    got = np.frombuffer(mp4.read_bytes(), np.uint8).reshape(3, 240, 240, 3)
    np.testing.assert_array_equal(got, [enlarged(frame, 12) for frame in frames])


def test_an_mp4_plays(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="the extra `video` is not installed: no MP4")
    frames = blocks(5)
    _, mp4 = write_film(frames, to_path(str(tmp_path)), "best")
    reader = ffmpeg.read_frames(str(mp4))
    assert next(reader)["size"] == (240, 240)
    pictures = [np.frombuffer(picture, np.uint8).reshape(240, 240, 3) for picture in reader]
    assert len(pictures) == 5
    for picture, frame in zip(pictures, frames, strict=True):
        assert np.abs(picture.astype(int) - enlarged(frame, 12)).mean() < 20  # it is compressed
