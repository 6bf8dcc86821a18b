"""Text tables whose columns line up for accents and wide characters too."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from protos.recommender.v1 import recommender_pb2 as api

TITLE_WIDTH = 60


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], right_aligned: Sequence[int] = ()) -> str:
    """One line per row under the header; the columns named by position in `right_aligned` are numbers."""
    widths = [max(display_width(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            space = " " * (width - display_width(cell))
            padded.append(space + cell if column in right_aligned else cell + space)
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), *map(line, rows)])


def display_width(text: str) -> int:
    """Columns of a terminal that the text takes."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def shorten(text: str, width: int) -> str:
    """The text, cut to `width` columns with an ellipsis."""
    if display_width(text) <= width:
        return text
    cut = text
    while display_width(cut) > width - 1:
        cut = cut[:-1]
    return cut.rstrip() + "…"


def movie_table(movies: Iterable[api.ScoredMovie]) -> str:
    """Rank, score, id, title and genres, one movie per line; and why, where reasons are given."""
    rows = [
        [
            str(rank),
            f"{scored.score:.3f}",
            str(scored.movie.movie_id),
            shorten(scored.movie.title, TITLE_WIDTH),
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
