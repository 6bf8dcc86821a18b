"""What is known of a movie beside who likes it: its genres, its year, the words of its title, its tags."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from protos.release.v1.layout import GENRE_SEPARATOR
from trainer.data.titles import YEAR_AT_END
from trainer.model.vectors import unit_rows

FIRST_YEAR, LAST_YEAR, YEARS_BETWEEN = 1900, 2040, 5  # the grid of points that describe a year
BELL_WIDTH_YEARS = 6.0  # a point's value falls to 1/e at this distance from the movie's year
WORD = re.compile(r"[^\W_]{2,}")  # letters and digits of any script
MAX_COLUMNS = 256  # of a part; more are projected at random, which keeps dot products nearly as they are
SEED = 0


@dataclass(frozen=True)
class Content:
    """Descriptions of movies, float64[num_movies, any] with unit rows; zeros for a movie without such a description."""

    genres: np.ndarray
    years: np.ndarray
    words: np.ndarray
    tags: np.ndarray


def content_of(table: pd.DataFrame) -> Content:
    """table: `title`, `year` (0 if unknown), `genres` (joined by "|") and, if any are known, `tags` of the movies."""
    titles = [_words(YEAR_AT_END.sub("", title)) for title in table["title"]]
    tags = [_words(tags) for tags in table["tags"]] if "tags" in table else [set[str]()] * len(table)
    genres = [set(listed.split(GENRE_SEPARATOR)) - {""} for listed in table["genres"]]
    return Content(
        genres=_described(genres, least=1, largest_share=1.0),
        years=_years(table["year"].to_numpy()),
        words=_described(titles, least=2, largest_share=0.01),
        tags=_described(tags, least=2, largest_share=0.1),
    )


def _words(text: str) -> set[str]:
    """The text's words in lower case, without numbers."""
    return {word for word in WORD.findall(text.casefold()) if not word.isdigit()}


def _described(terms: Sequence[set[str]], least: int, largest_share: float) -> np.ndarray:
    """Return float64[num_movies, up to MAX_COLUMNS], unit rows: the terms weighted by inverse document frequency.

    terms: of each movie.  least: a term of fewer movies tells nothing of others.
    largest_share: nor does a term of more than this share of the movies, such as "the".
    """
    num_movies = len(terms)
    counts = Counter(term for its_terms in terms for term in its_terms)
    most = largest_share * num_movies + 5  # a small catalogue keeps some terms too
    column = {term: i for i, term in enumerate(sorted(t for t, count in counts.items() if least <= count <= most))}
    places = [(row, term) for row, its_terms in enumerate(terms) for term in its_terms if term in column]
    weights = [np.log((1 + num_movies) / counts[term]) for _, term in places]
    shape = (num_movies, max(len(column), 1))
    matrix = sparse.csr_matrix((weights, ([row for row, _ in places], [column[term] for _, term in places])), shape)
    if shape[1] <= MAX_COLUMNS:
        return unit_rows(matrix.toarray())
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], (shape[1], MAX_COLUMNS))
    return unit_rows(matrix @ signs)


def _years(years: np.ndarray) -> np.ndarray:
    """Return float64[num_movies, num_points] with unit rows: the nearer two years, the larger their dot product."""
    points = np.arange(FIRST_YEAR, LAST_YEAR, YEARS_BETWEEN)
    clipped = np.clip(years, FIRST_YEAR, LAST_YEAR)[:, None]
    return unit_rows(np.where(years[:, None] > 0, np.exp(-(((clipped - points) / BELL_WIDTH_YEARS) ** 2)), 0))
