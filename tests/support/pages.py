"""Pages as a program gets them, over HTTP."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlencode, urlsplit

Parameters = dict[str, object] | list[tuple[str, object]]


@dataclass(frozen=True)
class Page:
    """An answer.  html: the text as it came."""

    status: int
    headers: http.client.HTTPMessage
    html: str

    @property
    def text(self) -> str:
        """What a person reads, with one space for any white space."""
        body = re.sub(r"<(head|svg)\b.*?</\1>", " ", self.html, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", "", body)).split())

    @property
    def listed(self) -> list[str]:
        """The titles of its list of movies, as links."""
        return [unescape(title) for title in re.findall(r"<h3><a [^>]*>([^<]*)</a></h3>", self.html)]


def get(address: str, path: str, parameters: Parameters | None = None, **headers: str) -> Page:
    """Ask for a page and follow nothing."""
    return _ask(address, "GET", f"{path}?{urlencode(parameters or [])}", None, headers)


def post(address: str, path: str, form: Parameters, **headers: str) -> Page:
    """Send a form and follow nothing."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return _ask(address, "POST", path, urlencode(form), headers)


def _ask(address: str, method: str, path: str, body: str | None, headers: dict[str, str]) -> Page:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=100)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Page(response.status, response.headers, response.read().decode())
    finally:
        connection.close()
