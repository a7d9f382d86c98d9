"""Films of the world model beside the real game, as one picture (filmstrip) or as an animation (GIF).

A film is uint8 [T, H, W, 3]. Its first `num_context` frames are the real ones that the world model was given. The first
imagined frame is step 1, so the newest context frame is step 0.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from etils.epath import Path

from edeline_jax.runtime.files import writing

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

FRAME_HEIGHT = 128  # px, of an enlarged frame, about
GIF_FRAME_HEIGHT = 128  # px, about; even noise stays below 300 kB
FONT_SIZE = 16  # px
LINE = 26  # px, height of a line of text
MARGIN = 12  # px, around everything
GAP = 4  # px, between frames
CONTEXT_GAP = 20  # px, between the context and what is imagined
ROW_LABELS = 88  # px, width of the column with the names of the rows
INK = "#333333"
FAINT = "#999999"


class Layout(NamedTuple):
    """The positions of the frames in a filmstrip."""

    width: int  # px, of an enlarged frame
    height: int
    num_context: int

    def column(self, step: int) -> int:
        """Left edge of the frame at position `step` of the film, in px."""
        gap = CONTEXT_GAP - GAP if 0 < self.num_context <= step else 0
        return MARGIN + ROW_LABELS + step * (self.width + GAP) + gap

    def row(self, index: int) -> int:
        """Upper edge of a row of frames, below the two lines of the head, in px."""
        return MARGIN + 2 * LINE + index * (self.height + GAP)

    def size(self, num_steps: int, num_rows: int) -> tuple[int, int]:
        """Width and height of the picture, in px."""
        return self.column(num_steps) - GAP + MARGIN, self.row(num_rows) - GAP + MARGIN


def draw_filmstrip(
    real: np.ndarray, imagined: np.ndarray, path: Path, scale: int | None = None, num_context: int = 0
) -> None:
    """Writes a PNG with the real, the imagined and the difference film under each other.

    Frames are enlarged `scale` times (default: to about 128 px) with nearest neighbour. Context frames have no
    difference.
    """
    real, imagined = checked(real, imagined)
    num_steps, height, width, _ = real.shape
    scale = scale or whole_scale(height, FRAME_HEIGHT)
    difference = np.maximum(real, imagined) - np.minimum(real, imagined)
    layout = Layout(width * scale, height * scale, num_context)
    picture, draw = blank(*layout.size(num_steps, num_rows=3))
    draw_head(draw, layout, num_steps)
    for index, (name, film) in enumerate({"real": real, "imagined": imagined, "difference": difference}.items()):
        middle = layout.row(index) + layout.height // 2
        draw.text((MARGIN + ROW_LABELS - 10, middle), name, fill=INK, anchor="rm")
        for step in range(num_context if name == "difference" else 0, num_steps):
            picture.paste(enlarge(film[step], scale), (layout.column(step), layout.row(index)))
    with writing(path) as file:
        picture.save(file, "PNG", optimize=True)


def draw_head(draw: "ImageDraw.ImageDraw", layout: Layout, num_steps: int) -> None:
    """Writes "context" and "imagined steps" over their columns, with a line under each, and numbers the steps."""
    spans = {"context": (0, layout.num_context), "imagined steps": (layout.num_context, num_steps)}
    for name, (start, stop) in spans.items():
        if start == stop:
            continue
        left, right = layout.column(start), layout.column(stop - 1) + layout.width - 1
        draw.text(((left + right) // 2, MARGIN + LINE // 2), name, fill=INK, anchor="mm")
        draw.line([(left, MARGIN + LINE), (right, MARGIN + LINE)], fill=FAINT)
    for step in range(num_steps):
        place = (layout.column(step) + layout.width // 2, MARGIN + LINE + LINE // 2)
        draw.text(place, str(step_number(step, layout.num_context)), fill=INK, anchor="mm")


def draw_denoising(frames: np.ndarray, sigmas: Sequence[float], path: Path) -> None:
    """Writes a PNG with a frame at every step of the sampler side by side, from noise on, and the sigma above each.

    Args:
      frames: uint8 [N, H, W, 3].
      sigmas: N noise levels.
    """
    scale = whole_scale(frames.shape[1], FRAME_HEIGHT)
    height, width = frames.shape[1] * scale, frames.shape[2] * scale
    picture, draw = blank(2 * MARGIN + len(frames) * (width + GAP) - GAP, 2 * MARGIN + LINE + height)
    for number, (frame, sigma) in enumerate(zip(frames, sigmas, strict=True)):
        left = MARGIN + number * (width + GAP)
        draw.text((left + width // 2, MARGIN + LINE // 2), f"sigma {sigma:.3g}", fill=INK, anchor="mm")
        picture.paste(enlarge(frame, scale), (left, MARGIN + LINE))
    with writing(path) as file:
        picture.save(file, "PNG", optimize=True)


def draw_gif(real: np.ndarray, imagined: np.ndarray, path: Path, fps: float = 8, num_context: int = 0) -> None:
    """Writes an endless GIF with the real film on the left and the imagined one on the right."""
    real, imagined = checked(real, imagined)
    frames = [gif_frame(real[step], imagined[step], gif_caption(step, num_context)) for step in range(len(real))]
    with writing(path) as file:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0)


def gif_frame(real: np.ndarray, imagined: np.ndarray, caption: str) -> "Image.Image":
    """Two frames, uint8 [H, W, 3], with their names above and a caption below, reduced to 256 colours."""
    from PIL import Image

    scale = whole_scale(real.shape[0], GIF_FRAME_HEIGHT)
    height, width = real.shape[0] * scale, real.shape[1] * scale
    picture, draw = blank(2 * width + GAP + 2 * MARGIN, height + 2 * LINE + 2 * MARGIN)
    for index, (name, frame) in enumerate((("real", real), ("imagined", imagined))):
        left = MARGIN + index * (width + GAP)
        draw.text((left + width // 2, MARGIN + LINE // 2), name, fill=INK, anchor="mm")
        picture.paste(enlarge(frame, scale), (left, MARGIN + LINE))
    draw.text((picture.width // 2, picture.height - MARGIN - LINE // 2), caption, fill=INK, anchor="mm")
    return picture.quantize(256, dither=Image.Dither.NONE)  # dither would flicker


def gif_caption(step: int, num_context: int) -> str:
    """The caption of the frame at position `step` of the film: its kind and number."""
    kind = "context" if step < num_context else "imagined step"
    return f"{kind} {step_number(step, num_context)}"


def checked(real: np.ndarray, imagined: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both films as NumPy arrays; raises ValueError unless they are uint8 [T, H, W, 3] of the same shape."""
    real, imagined = np.asarray(real), np.asarray(imagined)
    for film in (real, imagined):
        if film.dtype != np.uint8 or film.ndim != 4 or film.shape[-1] != 3 or film.shape != real.shape:
            raise ValueError(f"a film is uint8 [T, H, W, 3] and both have one shape, not {film.dtype} {film.shape}")
    return real, imagined


def whole_scale(size: int, wanted: int) -> int:
    """The integer factor, at least 1, that brings `size` nearest to `wanted` px."""
    return max(1, round(wanted / size))


def enlarge(frame: np.ndarray, scale: int) -> "Image.Image":
    """Nearest neighbour: uint8 [H, W, 3] to a picture of W * scale by H * scale px."""
    from PIL import Image

    return Image.fromarray(frame.repeat(scale, axis=0).repeat(scale, axis=1))


def blank(width: int, height: int) -> "tuple[Image.Image, ImageDraw.ImageDraw]":
    """A white picture of this size in px, and the object that draws on it."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    draw.font = ImageFont.load_default(FONT_SIZE)
    return picture, draw


def step_number(step: int, num_context: int) -> int:
    """The number of the frame at position `step` of the film: 1 for the first imagined, 0 for the newest context."""
    return step - num_context + 1
