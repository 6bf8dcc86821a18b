"""What trainer and recommender agree on beside the messages of manifest.proto: folders, files, columns, signatures.

    artifacts/releases/<version>/            the files below
    artifacts/models/user_embedding/<version>/   the SavedModel with the signatures below

manifest.proto says what each file holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

RELEASES = "releases"
MODELS = "models"

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.hmac"  # beside the manifest if the trainer signs; signature.py has the rule
MOVIES = "movies.csv"
EMBEDDINGS = "embeddings.npy"
EMBEDDINGS_INDEX = "movies.ann"
SIMILAR_MOVIES = "similar_movies.npy"
SIMILAR_MOVIES_INDEX = "similar_movies.ann"
SIMILAR_ROWS = "similar_rows.npy"
SIMILAR_COSINES = "similar_cosines.npy"
USER_IDS = "user_ids.npy"
USER_KEYS = "user_keys.npy"
USER_KEYS_IDS = "user_keys_ids.npy"
WATCHED_INDPTR = "watched_indptr.npy"
WATCHED_ROWS = "watched_rows.npy"
WATCHED_POSITIVE = "watched_positive.npy"
WATCHED_NEWER = "watched_newer.npy"
HIDDEN_USERS = "hidden_users.npy"
HIDDEN_ROWS = "hidden_rows.npy"

GENRE_SEPARATOR = "|"
MAX_MANIFEST_BYTES = 16 << 20  # five hundred times what it takes
MAX_KEY_BYTES = 256  # of a text key in UTF-8; a key holds no control characters


VERSION = re.compile("[1-9][0-9]{0,17}")  # any such number fits into int64


def version_named(name: str) -> int | None:
    """The version of a folder with this name; None for all other names, which both sides skip."""
    return int(name) if VERSION.fullmatch(name) else None


def published_at(version: int) -> datetime | None:
    """When a release was published, in UTC, by its version; None if that is no time."""
    try:
        return datetime.strptime(str(version), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


@dataclass(frozen=True)
class Format:
    """What differs between the versions of a release's format.

    files: every file of a release but the manifest.  movie_columns: the header of `MOVIES`.
    fold_in_padding: fills the rows of a fold-in up to the longest; no movie has this id.
    knows_order: whether the model has `FOLD_IN_ORDER`, and the release tells in which order users came to like movies.
    """

    version: int
    files: frozenset[str]
    movie_columns: tuple[str, ...]
    fold_in_padding: int
    knows_order: bool = False


_FORMAT_2 = Format(
    version=2,
    files=frozenset(
        {
            MOVIES,
            EMBEDDINGS,
            EMBEDDINGS_INDEX,
            SIMILAR_MOVIES,
            SIMILAR_MOVIES_INDEX,
            USER_IDS,
            WATCHED_INDPTR,
            WATCHED_ROWS,
            WATCHED_POSITIVE,
        }
    ),
    movie_columns=("movie_id", "title", "year", "genres", "popularity"),
    fold_in_padding=0,
)
_FORMAT_3 = Format(
    version=3,
    files=_FORMAT_2.files | {SIMILAR_ROWS, SIMILAR_COSINES, USER_KEYS, USER_KEYS_IDS, HIDDEN_USERS, HIDDEN_ROWS},
    movie_columns=("movie_id", "key", "title", "year", "genres", "popularity"),
    fold_in_padding=-1,
)
_FORMAT_4 = replace(_FORMAT_3, version=4)
CURRENT = replace(_FORMAT_4, version=5, files=_FORMAT_4.files | {WATCHED_NEWER}, knows_order=True)
FORMATS = {known.version: known for known in (_FORMAT_2, _FORMAT_3, _FORMAT_4, CURRENT)}
"""What a service reads; a trainer writes `CURRENT`. Upgrade services before trainers."""


@dataclass(frozen=True)
class Signature:
    """A signature of the user tower: it takes one tensor of int64 ids and returns `USER_EMBEDDING`.

    max_batch: the most rows in one Predict.
    """

    name: str
    input: str
    max_batch: int


MODEL_NAME = "user_embedding"
USER_EMBEDDING = "user_embedding"  # the output: float32[B, embedding_dim]
LOOK_UP = Signature("serving_default", "user_id", max_batch=256)  # int64[B]; 256 KB of answer at 256 dimensions
# int64[B, L] of liked movies' ids; each row takes a row of scores of the whole catalogue in the model server.
FOLD_IN = Signature("fold_in", "movie_id", max_batch=100)
FOLD_IN_ORDER = replace(FOLD_IN, name="fold_in_order")  # the same, ids in the order of liking, the latest last
