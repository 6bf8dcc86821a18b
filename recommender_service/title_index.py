"""Finds movies by title, in spite of typos, missing accents, another order of words, and missing words.

title_words.py says what a word is.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from rapidfuzz import fuzz, process

from recommender_service.title_words import IS_UNSPACED, other_words_of, words_of

MIN_SIMILARITY = 75.0  # of two words, on a scale of 0 to 100; allows one wrong letter in five or two swapped in six
PREFIX_SIMILARITY = 0.9  # of two words, one of which begins with the other; below 1 so that a whole word wins
YEAR_SIMILARITY = 0.9  # of a number and a movie's year; below 1 so that a title that contains the number wins
MIN_MATCHED = 0.65  # share of the query's weight that a title must match
MAX_SIMILAR = 20  # indexed words that count as a word of the query, misspelt
MAX_WORDS = 16  # words of a query that count; the rest is ignored
LONG_SEARCH = 50_000  # pairs of a query's word and an indexed word; comparing so many takes two milliseconds


class TitleIndex:
    """Finds titles by their words. Rare words weigh more (inverse document frequency); similar words count in part.

    A movie has several names: its title, and what the title gives in parentheses. A word is a position in `_words`.
    """

    def __init__(self, titles: Sequence[str], years: Sequence[int], num_likes: np.ndarray) -> None:
        """Index the titles, which are in row order.

        num_likes: [num_movies], how many users liked each movie; it decides between titles that match alike.
        """
        names_with: dict[str, list[int]] = defaultdict(list)  # the names that contain a word
        rows: list[int] = []  # the movie's row, for each name
        words_in: list[list[str]] = []  # the distinct words, for each name
        for row, (title, year) in enumerate(zip(titles, years, strict=True)):
            for name in _names(title, year):
                words = list(dict.fromkeys(words_of(name)))
                for word in dict.fromkeys([*words, *other_words_of(name)]):
                    names_with[word].append(len(rows))
                rows.append(row)
                words_in.append(words)
        self._words = sorted(names_with)
        self._word_numbers = {word: number for number, word in enumerate(self._words)}
        # The words that a query may misspell, and their numbers.
        self._spelt = [word for word in self._words if not IS_UNSPACED.match(word)]
        self._spelt_numbers = np.array([self._word_numbers[word] for word in self._spelt], np.int32)
        counts = np.array([len(names_with[word]) for word in self._words], np.int64)
        # The names with word i are _names_with[_starts[i] : _starts[i + 1]].
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._names_with = np.array([name for word in self._words for name in names_with[word]], np.int32)
        self._rows = np.array(rows, np.int32)
        self._years = np.array(years, np.int32)[self._rows]
        self._weights = np.log((1 + len(self._rows)) / counts)  # as `_weight`
        self._name_weights = np.array(
            [sum(self._weights[self._word_numbers[word]] for word in words) or 1.0 for words in words_in]
        )  # float64[num_names]
        log_likes = np.log1p(num_likes.astype(np.float64))
        most = max(float(log_likes.max(initial=0.0)), 1.0)
        self._relative_log_likes = log_likes / most  # float64[num_movies], 0 to 1

    def takes_long(self, query: str) -> bool:
        """Whether a search takes so long that it would hold up other calls."""
        return sum(map(_may_be_misspelt, _different_words(query))) * len(self._spelt) > LONG_SEARCH

    def search(self, query: str, limit: int) -> list[int]:
        """Return the rows of at most `limit` movies whose titles match, best match first."""
        if not len(self._rows):
            return []
        scores = self._scores(_different_words(query))
        best = np.argsort(-scores, kind="stable")[: min(4 * limit, np.count_nonzero(scores))]
        return list(dict.fromkeys(self._rows[best].tolist()))[:limit]  # a movie has up to about four names

    def _scores(self, query_words: Sequence[str]) -> np.ndarray:
        """How well each name matches, float64[num_names]; 0 for names that match too little of the query.

        It is a weighted sum of the matched share of the query, the matched share of the name, and the movie's likes.
        """
        query_weight = 0.0
        matched_of_query = np.zeros(len(self._rows))  # weight of the query's words that the name or the year matches
        matched_of_name = np.zeros(len(self._rows))  # weight of the query's words that the name matches
        for position, (word, similar) in enumerate(zip(query_words, self._misspelt(query_words), strict=True)):
            self._add_exact(similar, word, is_last=position == len(query_words) - 1)
            matched = np.zeros(len(self._rows))
            for number, similarity in sorted(similar.items(), key=lambda pair: pair[1]):
                names = self._names_with[self._starts[number] : self._starts[number + 1]]
                matched[names] = similarity  # the most similar word comes last and stays
            in_year = self._years == int(word) if re.fullmatch("[12][0-9]{3}", word) else np.zeros(0, np.bool_)
            weights = [self._weights[number] for number in similar] or [self._weight(int(np.count_nonzero(in_year)))]
            weight = float(max(weights))
            query_weight += weight
            matched_of_name += weight * matched
            matched_of_query += weight * (np.maximum(matched, YEAR_SIMILARITY * in_year) if len(in_year) else matched)
        query_share = matched_of_query / (query_weight or 1.0)
        name_share = np.minimum(matched_of_name / self._name_weights, 1.0)
        scores = np.where(query_share >= MIN_MATCHED, 0.75 * query_share + 0.2 * name_share, 0.0)
        scores += np.where(scores > 0, 0.2 * self._relative_log_likes[self._rows], 0.0)
        return scores

    def _weight(self, num_names: int) -> float:
        """Inverse document frequency of a word that so many names contain."""
        return math.log((1 + len(self._rows)) / (num_names or 1))

    def _misspelt(self, query_words: Sequence[str]) -> list[dict[int, float]]:
        """For each word of a query, the similarity, 0 to 1, of the MAX_SIMILAR indexed words that are most like it.

        Each similarity is by the number of the indexed word. Short words and numbers are not taken for misspelt.
        """
        long = [word for word in query_words if _may_be_misspelt(word)]
        # float32[len(long), len(_spelt)], 0 below the cut; a call for each word would take several times as long
        ratios = process.cdist(long, self._spelt, scorer=fuzz.ratio, score_cutoff=MIN_SIMILARITY, dtype=np.float32)
        similar: dict[str, dict[int, float]] = {}
        for word, of_word in zip(long, ratios, strict=True):
            near = np.flatnonzero(of_word)
            best = near[np.argsort(-of_word[near], kind="stable")[:MAX_SIMILAR]]
            numbers = self._spelt_numbers[best].tolist()
            similar[word] = dict(zip(numbers, ((of_word[best] / 100) ** 2).tolist(), strict=True))
        return [similar.get(word, {}) for word in query_words]

    def _add_exact(self, similar: dict[int, float], word: str, is_last: bool) -> None:
        """Add the indexed word that is this one. Add also those that begin with it, if it is the last of the query.

        The last word may be still incomplete.  similar: similarity by number of the indexed word.
        """
        if is_last and _may_be_misspelt(word):
            number = bisect_left(self._words, word)
            while number < len(self._words) and self._words[number].startswith(word):
                similar[number] = max(PREFIX_SIMILARITY, similar.get(number, 0.0))
                number += 1
        if word in self._word_numbers:
            similar[self._word_numbers[word]] = 1.0


def _different_words(query: str) -> list[str]:
    """The words of a query that count, each once."""
    return list(dict.fromkeys(words_of(query)))[:MAX_WORDS]


def _may_be_misspelt(word: str) -> bool:
    return len(word) > 2 and not word.isdecimal()


def _names(title: str, year: int) -> Iterable[str]:
    """A movie's names: the title without its year, and each of the other titles that it gives in parentheses."""
    title = title.removesuffix(f"({year})") if year else title
    others = re.findall(r"\(([^()]*)\)", title)
    main = re.sub(r"\([^()]*\)", " ", title)
    names = [name for name in (main, *others) if words_of(name)]
    return names or [title]
