"""Pages from templates. Whatever a template prints is escaped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from movie_recommender_client.v1 import recommender_pb2 as api
from starlette.responses import HTMLResponse

from web.choices import LONG_LIST, SHORT_LIST, address, id_of
from web.curve import ENGINES, HEIGHT, WIDTH

TONES = 20  # classes tone-0 to tone-19 of style.css
STRIPES = 4  # more would be too thin to tell apart


class Renderer:
    """Renders templates into answers."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "name": _name,
            "moment": moment,
            "duration": duration,
            "signed": signed,
            "size": size,
        }
        self._environment.globals |= {
            "address": address,
            "id_of": id_of,
            "SHORT_LIST": SHORT_LIST,
            "LONG_LIST": LONG_LIST,
            "STRIPES": STRIPES,
            "TONES": TONES,
            "CURVE_WIDTH": WIDTH,
            "CURVE_HEIGHT": HEIGHT,
            "ENGINES": ENGINES,
        }

    def page(self, template: str, code: int = 200, **values: Any) -> HTMLResponse:
        """Return a page of that template, whose name without the ending is known to it as `here`."""
        here = template.removesuffix(".html")
        return HTMLResponse(self._environment.get_template(template).render(here=here, **values), code)

    def message(self, heading: str, text: str, code: int) -> HTMLResponse:
        """Return a page that says why there is no other."""
        return self.page("message.html", code, heading=heading, text=text)


def _name(movie: api.Movie) -> str:
    """The title without the year that MovieLens adds to it, because the page shows the year beside it."""
    return movie.title.removesuffix(f" ({movie.year})")


def moment(version: int) -> str:
    """The time of a release's version, YYYYMMDDHHMMSS in UTC; another number as it is."""
    try:
        return datetime.strptime(str(version), "%Y%m%d%H%M%S").replace(tzinfo=UTC).strftime("%-d %b %Y, %H:%M:%S UTC")
    except ValueError:
        return str(version)


def duration(seconds: float) -> str:
    """A time span as people say it, to the second: `2 days, 3:04:05`."""
    return str(timedelta(seconds=int(seconds)))


def signed(difference: float | None) -> str:
    """A difference of figures with its sign; a dash if there is none."""
    return "–" if difference is None else f"{difference:+.4f}".replace("-", "−")


def size(num_bytes: int) -> str:
    """A size as people say it: `12.3 MB`."""
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:.0f} kB"
