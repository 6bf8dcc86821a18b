"""Text tables for a terminal. Their columns line up in spite of accents and wide characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from console.output import visible
from protos.recommender.v1 import recommender_pb2 as api

TITLE_WIDTH = 60
NO_WIDTH = ("Mn", "Me", "Cf")  # categories of characters that are drawn over others, or not at all
NEW = " (new)"  # after the title of a movie that nobody has liked


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], right_aligned: Sequence[int] = ()) -> str:
    """A header and one line per row.  right_aligned: positions of the columns that hold numbers.

    Characters in a cell that a terminal would obey, or that would end its line, are written as escapes.
    """
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(display_width(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            space = " " * (width - display_width(cell))
            padded.append(space + cell if column in right_aligned else cell + space)
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), *map(line, rows)])


def display_width(text: str) -> int:
    """The number of columns that the text takes on a terminal."""
    return sum(
        0
        if unicodedata.category(character) in NO_WIDTH
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def shorten(text: str, width: int) -> str:
    """The text, or its beginning and an ellipsis if it takes more than `width` columns."""
    if display_width(text) <= width:
        return text
    cut = text
    while display_width(cut) > width - 1:
        cut = cut[:-1]
    return cut.rstrip() + "…"


def movie_table(movies: Iterable[api.ScoredMovie]) -> str:
    """A ranked list, one movie per line, with a column for the reasons if there are any."""
    rows = [
        [
            str(rank),
            f"{scored.score:.3f}",
            scored.movie.key or str(scored.movie.movie_id),
            shorten(scored.movie.title, TITLE_WIDTH) + (NEW if scored.movie.from_content else ""),
            ", ".join(scored.movie.genres),
            ", ".join(f"{reason.because.title} {reason.similarity:.2f}" for reason in scored.reasons),
        ]
        for rank, scored in enumerate(movies, start=1)
    ]
    if not rows:
        return "no movies qualify"
    columns = 6 if any(row[5] for row in rows) else 5
    header = ["#", "score", "movie", "title", "genres", "because of"]
    return format_table(header[:columns], [row[:columns] for row in rows], right_aligned=(0, 1, 2))


def title_table(movies: Iterable[api.Movie]) -> str:
    """Movies without ranks and scores, one per line."""
    rows = [
        [movie.key or str(movie.movie_id), shorten(movie.title, TITLE_WIDTH), ", ".join(movie.genres)]
        for movie in movies
    ]
    return format_table(["movie", "title", "genres"], rows, right_aligned=(0,))


def release_table(releases: Iterable[api.ReleaseStatus]) -> str:
    """The state of each release and the reason for it, one release per line."""
    rows = []
    for release in releases:
        state = api.ReleaseState.Name(release.state).removeprefix("RELEASE_STATE_")
        rows.append([str(release.release), state, release.reason])
    return format_table(["release", "state", "reason"], rows)
