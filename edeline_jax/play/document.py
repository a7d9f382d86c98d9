"""The page as one document: style and script are in it, and it may load and run nothing else."""

import base64
import hashlib
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).with_name("page")
SCRIPTS = ("figures.js", "keys.js", "viewer.js", "play.js")


class Document(NamedTuple):
    """The page and the headers that it is sent with."""

    html: str
    headers: dict[str, str]


def read_document() -> Document:
    """Reads the page's files."""
    style = (FOLDER / "play.css").read_text()
    script = "".join((FOLDER / name).read_text() for name in SCRIPTS)
    html = (FOLDER / "index.html").read_text().replace("STYLE", style, 1).replace("SCRIPT", script, 1)
    policy = (
        f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; connect-src 'self'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",  # the address may hold the token
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return Document(html, headers)


def _source(text: str) -> str:
    """What lets a policy know the text inside an element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
