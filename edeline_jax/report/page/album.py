"""Puts pictures into a page, as long as they fit."""

import base64
from typing import NamedTuple

from etils.epath import Path

MOST_BYTES = 7_000_000  # of all pictures of a page; base64 makes them a third longer
KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"GIF89a": "image/gif", b"GIF87a": "image/gif"}


class Picture(NamedTuple):
    """A picture in the page. `source` is a data URI; empty where it is missing, and `why` says so."""

    name: str
    source: str
    why: str = ""


class Album:
    """The pictures of one page."""

    def __init__(self, most_bytes: int = MOST_BYTES):
        self._left = most_bytes

    def picture(self, folder: Path, name: object) -> Picture:
        """A PNG or GIF of a folder; what else a name might lead to is not read."""
        if not isinstance(name, str) or not name or "/" in name or "\\" in name or name.startswith("."):
            return Picture(str(name), "", "is not the name of a picture in this folder")
        try:
            content = (folder / name).read_bytes()
        except OSError:
            return Picture(name, "", "is not there")
        kind = next((kind for magic, kind in KINDS.items() if content.startswith(magic)), None)
        if kind is None:
            return Picture(name, "", "is not a PNG or GIF")
        if len(content) > self._left:
            return Picture(name, "", f"({len(content) / 1e6:.1f} MB) is too large for this page; it is in {folder}")
        self._left -= len(content)
        return Picture(name, f"data:{kind};base64,{base64.b64encode(content).decode()}")
