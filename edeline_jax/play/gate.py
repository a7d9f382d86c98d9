"""Who may come in: pages of this server alone, asked for by its own name and, from elsewhere, with the token."""

import secrets
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Gate(NamedTuple):
    """What a request must show.

    token: a word in the URL; empty: none is asked for, and the server must be called by a name of this machine alone,
      so that no page of the web can reach it through a name of its own (DNS rebinding).
    """

    token: str

    def refuse(self, headers: Mapping[str, str], query: Mapping[str, str], is_socket: bool) -> str:
        """Why the request is refused; empty if it is not. A socket must come from a page of this server (Origin)."""
        host = headers.get("host", "")
        if self.token:
            if not secrets.compare_digest(query.get("token", "").encode(), self.token.encode()):
                return "the address lacks the token: take the whole one that the program has printed"
        elif _hostname(host) not in LOOPBACK:
            return "this server is called localhost"
        if is_socket and not _is_own(headers.get("origin", ""), host):
            return "the page is not of this server"
        return ""


def make_gate(host: str) -> Gate:
    """The gate of a server that listens on `host`: with a fresh token unless only this machine can reach it."""
    return Gate("" if host in LOOPBACK else secrets.token_urlsafe(16))


def _is_own(origin: str, host: str) -> bool:
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    return page.scheme in ("http", "https") and bool(host) and page.netloc.lower() == host.lower()


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
