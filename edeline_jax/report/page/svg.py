"""Draws charts with matplotlib as SVG whose colours and font are those of the page around them."""

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that nothing else has; the page's own take their place.
INK, MUTED, GRID, ACCENT, PAPER = "#010101", "#010102", "#010103", "#010104", "#010105"
THEME = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)", ACCENT: "var(--accent)", PAPER: "var(--paper)"}
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.formatter.limits": (-6, 7),
    "axes.formatter.useoffset": False,  # a factor would stand where the unit does
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 1.0,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": 11.0,
    "grid.color": GRID,
    "grid.linewidth": 1.0,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
}
PANEL = (350, 220)  # width and height in px at which the letters have their size
WIDE, NARROW = (1080, 420), (358, 330)
SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"

Draw = Callable[["Figure"], None]


class Margins(NamedTuple):
    """What is around the axes, in px; above them stands the unit of the y axis."""

    left: int = 48
    right: int = 8
    bottom: int = 40
    top: int = 24


class Chart(NamedTuple):
    """A chart, and if it is a large one, the same for the width of a phone."""

    title: str
    svg: Markup
    narrow: Markup | None = None


def panel(title: str, draw: Draw) -> Chart:
    """A small chart, to stand beside others."""
    return Chart(title, render(draw, PANEL, title, Margins()))


def large(
    title: str,
    draw: Draw,
    margins: Margins,
    wide: tuple[int, int] = WIDE,
    narrow: tuple[int, int] = NARROW,
) -> Chart:
    """A chart of the page's whole width."""
    return Chart(title, render(draw, wide, title, margins), render(draw, narrow, title, margins))


def render(draw: Draw, size: tuple[int, int], title: str, margins: Margins) -> Markup:
    """The figure that `draw` fills, as an <svg> element that takes the width of its place.

    Args:
      size: width and height in px.
      title: what a screen reader says; may hold any characters.
    """
    import matplotlib
    from matplotlib.figure import Figure  # only drawing pays for the import

    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"{title} {size}"}):  # no two charts of a page share ids
        width, height = size
        figure = Figure(figsize=(width / 72, height / 72))
        figure.subplots_adjust(  # all panels alike: their axes lie in line
            left=margins.left / width,
            right=1 - margins.right / width,
            bottom=margins.bottom / height,
            top=1 - margins.top / height,
        )
        draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _themed(file.getvalue(), title)


def label(axes: "Axes", x: str, y: str) -> None:
    """Names the axes, each with its unit; that of the y axis stands above it at the left edge, where it can be read."""
    from matplotlib.transforms import blended_transform_factory

    axes.set_xlabel(x)
    axes.set_ylabel(y, rotation=0, ha="left", va="bottom")
    axes.yaxis.set_label_coords(0, 1.02, blended_transform_factory(axes.figure.transFigure, axes.transAxes))
    axes.xaxis.label.set_gid("x-label")
    axes.yaxis.label.set_gid("y-label")


def counts(axes: "Axes") -> None:
    """Lets the x axis have whole numbers only, and writes them like 20k."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _themed(svg: bytes, title: str) -> Markup:
    root = ElementTree.fromstring(svg)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", title)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):  # its style would be that of the whole page
                parent.remove(child)
    for element in root.iter():
        name = element.get("id", "")
        if name in ("x-label", "y-label"):
            element.set("class", name)
        if name and not re.search(r"[0-9a-f]{10}$", name):  # the others are referred to, and unique by their salt
            del element.attrib["id"]
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", LINK)
    text = ElementTree.tostring(root, encoding="unicode")
    return Markup(re.sub("|".join(THEME), lambda match: THEME[match[0]], text))
