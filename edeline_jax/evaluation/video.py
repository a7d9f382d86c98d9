"""Films of games, enlarged: a GIF, and an MP4 where imageio-ffmpeg is installed (extra `video`)."""

import importlib.util
import os
import tempfile
from collections.abc import Sequence

import numpy as np
from etils.epath import Path

from edeline_jax.report.filmstrip import enlarge, whole_scale
from edeline_jax.runtime.files import writing

HEIGHT = 256  # px, about
FPS = 15  # of an Atari game with a frame skip of 4, as it is played


def film_kinds() -> list[str]:
    """What films can be written as here."""
    return ["gif", "mp4"] if importlib.util.find_spec("imageio_ffmpeg") else ["gif"]


def write_film(frames: np.ndarray, folder: Path, name: str, kinds: Sequence[str] | None = None) -> list[Path]:
    """Writes frames, uint8 [T, H, W, 3], as `NAME.gif` and so on; returns the paths.

    Args:
      kinds: of `film_kinds`; all of them if not given.
    """
    writers = {"gif": _write_gif, "mp4": _write_mp4}
    paths = {kind: folder / f"{name}.{kind}" for kind in (film_kinds() if kinds is None else kinds)}
    for kind, path in paths.items():
        writers[kind](frames, path)
    return list(paths.values())


def _write_gif(frames: np.ndarray, path: Path) -> None:
    from PIL import Image

    scale = whole_scale(frames.shape[1], HEIGHT)
    first, *others = (enlarge(frame, scale).quantize(256, dither=Image.Dither.NONE) for frame in frames)
    with writing(path) as file:
        first.save(file, "GIF", save_all=True, append_images=others, duration=round(1000 / FPS), loop=0)


def _write_mp4(frames: np.ndarray, path: Path) -> None:
    import imageio_ffmpeg

    scale = 2 * max(1, whole_scale(frames.shape[1], HEIGHT) // 2)  # even sides, which the format needs
    height, width = (scale * side for side in frames.shape[1:3])
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "film.mp4")
        film = imageio_ffmpeg.write_frames(local, (width, height), fps=FPS, macro_block_size=2)
        film.send(None)
        for frame in frames:
            film.send(np.asarray(enlarge(frame, scale)).tobytes())
        film.close()
        with open(local, "rb") as content, writing(path) as file:
            file.write(content.read())
