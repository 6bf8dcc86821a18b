"""Finds movies by title, forgiving typos, accents, word order and missing words."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from rapidfuzz import fuzz, process

MIN_SIMILARITY = 75.0  # of two words, 0 to 100: one wrong letter in five, two swapped ones in six
PREFIX_SIMILARITY = 0.9  # of a word with one that starts with it
YEAR_SIMILARITY = 0.9  # of a number with the year; a title may have the number in it
MIN_MATCHED = 0.65  # share of the query, by weight, that a title must match
MAX_WORDS = 16  # of a query; the rest is ignored
APOSTROPHES = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}]")
NUMERALS = dict(zip("ii iii iv vi vii viii ix xi xii xiii".split(), "2 3 4 6 7 8 9 11 12 13".split(), strict=True))


class TitleIndex:
    """Titles as weighted sets of words: rare words count more (inverse document frequency), similar ones in part."""

    def __init__(self, titles: Sequence[str], years: Sequence[int], popularity: np.ndarray) -> None:
        """popularity: [num_movies], any measure; decides between titles that match alike."""
        postings: dict[str, list[int]] = defaultdict(list)
        movies: list[int] = []  # of each name: a title may give several
        own_words: list[list[str]] = []
        for movie, (title, year) in enumerate(zip(titles, years, strict=True)):
            for name in _names(title, year):
                words = list(dict.fromkeys(words_of(name)))
                joined = ["".join(words_of(part)) for part in name.split() if len(words_of(part)) > 1]  # Spider-Man
                for word in dict.fromkeys([*words, *joined]):
                    postings[word].append(len(movies))
                movies.append(movie)
                own_words.append(words)
        self._words = sorted(postings)
        self._names_with = [np.array(postings[word], np.int32) for word in self._words]
        self._movies = np.array(movies, np.int32)
        self._years = np.array(years, np.int32)[self._movies]
        self._weights = np.array([self._weight(len(names)) for names in self._names_with])
        self._ids = {word: number for number, word in enumerate(self._words)}
        self._name_weights = np.array(
            [sum(self._weights[self._ids[word]] for word in words) or 1.0 for words in own_words]
        )  # float64[num_names]
        likes = np.log1p(popularity.astype(np.float64))
        self._popularity = likes / max(float(likes.max(initial=0.0)), 1.0)  # float64[num_movies], 0 to 1

    def search(self, query: str, limit: int) -> list[int]:
        """Rows of the movies whose titles match, best first."""
        if not len(self._movies):
            return []
        wanted = list(dict.fromkeys(words_of(query)))[:MAX_WORDS]
        of_query = np.zeros(len(self._movies))  # weight of the query's words that a name has
        of_name = np.zeros(len(self._movies))  # the same, without the year
        total = 0.0
        for position, word in enumerate(wanted):
            similar = self._similar(word, is_last=position == len(wanted) - 1)
            matched = np.zeros(len(self._movies))
            for number, similarity in sorted(similar.items(), key=lambda pair: pair[1]):
                matched[self._names_with[number]] = similarity  # the most similar one is written last
            in_year = self._years == int(word) if re.fullmatch("[12][0-9]{3}", word) else np.zeros(0, np.bool_)
            weights = [self._weights[number] for number in similar] or [self._weight(int(np.count_nonzero(in_year)))]
            weight = float(max(weights))
            total += weight
            of_name += weight * matched
            of_query += weight * (np.maximum(matched, YEAR_SIMILARITY * in_year) if len(in_year) else matched)
        of_query /= total or 1.0
        of_name = np.minimum(of_name / self._name_weights, 1.0)
        scores = np.where(of_query >= MIN_MATCHED, 0.75 * of_query + 0.2 * of_name, 0.0)
        scores += np.where(scores > 0, 0.2 * self._popularity[self._movies], 0.0)
        found: dict[int, None] = {}
        for name in np.argsort(-scores, kind="stable")[: 4 * limit]:
            if scores[name] > 0:
                found[int(self._movies[name])] = None
        return list(found)[:limit]

    def _weight(self, num_names: int) -> float:
        return math.log((1 + len(self._movies)) / (num_names or 1))

    def _similar(self, word: str, is_last: bool) -> dict[int, float]:
        """Known words like this one, by number → similarity, 0 to 1."""
        similar: dict[int, float] = {}
        if len(word) > 2 and not word.isdecimal():
            matches = process.extract(word, self._words, scorer=fuzz.ratio, score_cutoff=MIN_SIMILARITY, limit=20)
            similar = {number: (ratio / 100) ** 2 for _, ratio, number in matches}
        if is_last and len(word) > 2 and not word.isdecimal():  # perhaps still being typed
            start = bisect_left(self._words, word)
            while start < len(self._words) and self._words[start].startswith(word):
                similar[start] = max(PREFIX_SIMILARITY, similar.get(start, 0.0))
                start += 1
        if word in self._ids:
            similar[self._ids[word]] = 1.0
        return similar


def words_of(text: str) -> list[str]:
    """Lower case without accents, punctuation and possessives; Roman numerals as numbers."""
    decomposed = unicodedata.normalize("NFKD", APOSTROPHES.sub("", text.casefold()))
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return [NUMERALS.get(word, word) for word in re.findall(r"\w+", plain.replace("&", " and "))]


def _names(title: str, year: int) -> Iterable[str]:
    """The title without its year, and apart from it what stands in parentheses: other languages, other names."""
    title = title.removesuffix(f"({year})") if year else title
    others = re.findall(r"\(([^()]*)\)", title)
    main = re.sub(r"\([^()]*\)", " ", title)
    names = [name for name in (main, *others) if words_of(name)]
    return names or [title]
