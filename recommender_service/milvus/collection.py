"""The collection of Milvus that holds the movies of one release: its name, its fields, its indexes, and filters."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb

ALIAS = "movies"
"""Names the collection of the newest release, for people and other programs. Recommenders name a collection."""

MOVIE_ID, ROW, YEAR, GENRES = "movie_id", "row", "year", "genres"
EMBEDDING, SIMILARITY = "embedding", "similarity"  # the two fields of vectors: see `Release`

METRIC = "IP"  # of unit vectors, the inner product is the cosine
GRAPH = {"M": 16, "efConstruction": 200}
# A search of the graph (HNSW) keeps so many movies in view, and two more for each that is asked for. Graphs of hnswlib,
# which are alike, need 40 to find 98 % of the ten nearest of 100,000. The loader measures it for each release.
EFFORT, RECALL_K = 128, 10
MAX_EFFORT = 32_768  # Milvus takes no more
MIN_SHARE = 0.05  # where fewer movies qualify, Milvus compares them one by one

COLLECTION = re.compile(r"movies_(?P<version>[1-9][0-9]{0,17})_[0-9a-f]{8}(_loading_(?P<begun>[0-9]{14})_.*)?")


def collection_of(manifest: pb.Manifest) -> str:
    """The name of a release's collection: by its version and by what it holds, so that no other training has it."""
    digests = {file.name: file.sha256 for file in manifest.files}
    held = "".join(digests.get(name, "") for name in (layout.MOVIES, layout.EMBEDDINGS, layout.SIMILAR_MOVIES))
    return f"movies_{manifest.version}_{hashlib.sha256(held.encode()).hexdigest()[:8]}"


def loading_name(collection: str) -> str:
    """A name for a collection that is being loaded, which no other process chooses and nobody searches."""
    return f"{collection}_loading_{datetime.now(UTC):%Y%m%d%H%M%S}_{token_hex(4)}"


def effort_for(limit: int, share: float) -> int:
    """How many movies a search keeps in view for a list of `limit`.  share: of the movies that qualify."""
    return min(MAX_EFFORT, round((EFFORT + 2 * limit) / max(share, MIN_SHARE)))


def all_of(*conditions: str) -> str:
    """An expression that is true where all conditions are; empty ones count for nothing."""
    return " and ".join(filter(None, conditions))


def first_rows(num_rows: int, num_movies: int) -> str:
    """True for the movies of the first rows, which have the vector that is searched; empty if all movies have it."""
    return f"{ROW} < {num_rows}" if num_rows < num_movies else ""


def without_movies(movie_ids: Sequence[int]) -> str:
    """True for all movies but these.

    Numbers are written out, because milvus-lite knows no templates.
    """
    return f"{MOVIE_ID} not in {_listed(movie_ids)}" if movie_ids else ""


def only_movies(movie_ids: Sequence[int]) -> str:
    """True for these movies."""
    return f"{MOVIE_ID} in {_listed(movie_ids)}"


def passing(movie_filter: api.MovieFilter, names: Sequence[str]) -> str:
    """True for the movies that pass a checked filter.  names: of the release's genres."""
    conditions = []
    if movie_filter.genres:
        conditions.append(_has_any(movie_filter.genres, names))
    if movie_filter.exclude_genres:
        conditions.append(f"not ({_has_any(movie_filter.exclude_genres, names)})")
    if movie_filter.min_year or movie_filter.max_year:
        conditions.append(f"{YEAR} >= {max(movie_filter.min_year, 1)}")
    if movie_filter.max_year:
        conditions.append(f"{YEAR} <= {movie_filter.max_year}")
    return all_of(*conditions)


def _has_any(wanted: Sequence[str], names: Sequence[str]) -> str:
    """True for movies of at least one wanted genre. Requests may write it in other cases than the release does."""
    folded = {genre.casefold() for genre in wanted}
    genres = ", ".join(json.dumps(name, ensure_ascii=False) for name in names if name.casefold() in folded)
    return f"array_contains_any({GENRES}, [{genres}])"


def _listed(movie_ids: Sequence[int]) -> str:
    return f"[{','.join(map(str, movie_ids))}]"
