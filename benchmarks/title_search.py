"""CPU per title search, versus scoring every title with rapidfuzz's WRatio in the same run.

    make train && python -m benchmarks.title_search

Queries are titles of the newest release in lower case, without year and punctuation, and without one letter of the
longest word. "found" is the share of queries for which the movie itself is among the first three answers.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from rapidfuzz import fuzz, process

from benchmarks.support import newest_release
from protos.release.v1.layout import CURRENT
from recommender_service.release_files import read_movies
from recommender_service.title_index import TitleIndex

QUERIES, LIMIT = 200, 3


def main(argv: Sequence[str]) -> None:
    _, release = newest_release(argv, __doc__)
    movies, likes = read_movies(release / "movies.csv", CURRENT)
    titles = [movie.title for movie in movies]
    index = TitleIndex(titles, [movie.year for movie in movies], likes)
    lowered = [title.lower() for title in titles]

    def scan(query: str) -> list[int]:
        return [row for _, _, row in process.extract(query, lowered, scorer=fuzz.WRatio, limit=LIMIT)]

    rows = np.random.default_rng(0).choice(len(titles), QUERIES, replace=False).tolist()
    queries = [_careless(titles[row]) for row in rows]
    print(f"{len(titles):,} titles, {QUERIES} queries     median ms   99 % ms   found")
    for name, search in (("title index", lambda query: index.search(query, LIMIT)), ("WRatio on every title", scan)):
        milliseconds, found = _measure(search, queries, rows)
        slowest = float(np.percentile(milliseconds, 99))
        print(f"{name:<32}{statistics.median(milliseconds):>10.2f}{slowest:>10.2f}{found:>8.0%}")


def _measure(
    search: Callable[[str], list[int]], queries: Sequence[str], rows: Sequence[int]
) -> tuple[list[float], float]:
    """(milliseconds of CPU of each query, share of queries that found their row)"""
    milliseconds, found = [], 0
    for query, row in zip(queries, rows, strict=True):
        before = time.process_time()
        answer = search(query)
        milliseconds.append((time.process_time() - before) * 1e3)
        found += row in answer
    return milliseconds, found / len(rows)


def _careless(title: str) -> str:
    """The title as somebody may type it: words in lower case, one letter of the longest missing."""
    words = re.findall(r"\w+", title.partition("(")[0].lower()) or [title.lower()]
    longest = max(words, key=len)
    middle = len(longest) // 2
    return " ".join(word if word != longest else word[:middle] + word[middle + 1 :] for word in words)


if __name__ == "__main__":
    main(sys.argv[1:])
