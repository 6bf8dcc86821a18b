"""What a visitor has chosen, read from the address of a page, and addresses of pages made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from movie_recommender_client.v1 import recommender_pb2 as api

Id = int | str

MAX_ID = 2**63 - 1
MAX_LIKES = 100  # an address stays well below the 8 KB that servers and proxies commonly accept
MAX_YEAR = 9999
SHORT_LIST, LONG_LIST = 20, 100


class BadChoice(ValueError):
    """An address names something that cannot be. The message says what was expected and what came."""


@dataclass(frozen=True)
class Filters:
    """Which movies may be listed.  genre: "" for any.  min_year, max_year: 0 for any.  limit: how many."""

    genre: str = ""
    min_year: int = 0
    max_year: int = 0
    limit: int = SHORT_LIST

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        """Read `genre`, `from`, `to` and `n`.  Raises BadChoice."""
        chosen = cls(
            query.get("genre", ""),
            whole_number(query, "from", 0, MAX_YEAR),
            whole_number(query, "to", 0, MAX_YEAR),
            whole_number(query, "n", SHORT_LIST, LONG_LIST) or SHORT_LIST,
        )
        if chosen.max_year and chosen.min_year > chosen.max_year:
            raise BadChoice(f"to: expected {chosen.min_year} or later, got {chosen.max_year}")
        return chosen

    @property
    def narrow(self) -> bool:
        """Whether they exclude movies."""
        return bool(self.genre or self.min_year or self.max_year)

    def message(self) -> api.MovieFilter:
        """The filter as the API has it."""
        return api.MovieFilter(
            genres=[self.genre] if self.genre else [], min_year=self.min_year, max_year=self.max_year
        )

    def parameters(self, limit: int | None = None) -> list[tuple[str, Id]]:
        """What an address needs to say for them.  limit: in place of their own."""
        limit = self.limit if limit is None else limit
        pairs: list[tuple[str, Id]] = [("genre", self.genre), ("from", self.min_year), ("to", self.max_year)]
        pairs.append(("n", limit if limit != SHORT_LIST else ""))
        return [(name, value) for name, value in pairs if value]


def whole_number(query: Mapping[str, str], name: str, default: int, highest: int) -> int:
    """Return a number of the address, or the default if it is not there or empty.  Raises BadChoice."""
    text = query.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 19 or int(text) > highest:
        raise BadChoice(f"{name}: expected a whole number up to {highest}, got {text[:40]!r}")
    return int(text)


def chosen_id(query: Mapping[str, str], name: str, have_keys: bool) -> Id:
    """Return the id, or the key where the release has keys, that the address names.  Raises BadChoice."""
    if not query.get(name, "").strip():
        raise BadChoice(f"{name}: expected {'a key' if have_keys else 'an id'}, got none")
    return query[name].strip() if have_keys else whole_number(query, name, 0, MAX_ID)


def chosen_user(query: Mapping[str, str], have_keys: bool) -> tuple[str, Id]:
    """Return the parameter of the address that names the user, and its value.  Raises BadChoice.

    It is `user`, or `number` for a user whose key is not known, where the release has keys.
    """
    if have_keys and "number" in query:
        return "number", whole_number(query, "number", 0, MAX_ID)
    return "user", chosen_id(query, "user", have_keys)


def chosen_likes(texts: Iterable[str], have_keys: bool) -> list[Id]:
    """Return liked movies, each once, in their order.  Raises BadChoice."""
    likes = list(dict.fromkeys(chosen_id({"like": text}, "like", have_keys) for text in texts))
    if len(likes) > MAX_LIKES:
        raise BadChoice(f"like: expected at most {MAX_LIKES} movies, got {len(likes)}")
    return likes


def id_of(movie: api.Movie) -> Id:
    """The key of a movie, or its id if it has no key."""
    return movie.key or movie.movie_id


def address(path: str, *parameters: tuple[str, Id] | list[tuple[str, Id]]) -> str:
    """Return the address of a page with these parameters, of which a list stands for several."""
    pairs: list[tuple[str, Id]] = []
    for parameter in parameters:
        pairs += parameter if isinstance(parameter, list) else [parameter]
    return f"{path}?{urlencode(pairs)}" if pairs else path
