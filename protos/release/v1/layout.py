"""What trainer and recommender agree on beside the messages of manifest.proto: folders, files, columns, signatures.

    artifacts/releases/<version>/            the files below
    artifacts/models/user_embedding/<version>/   the SavedModel with the two signatures below

manifest.proto says what each file holds.
"""

from __future__ import annotations

from dataclasses import dataclass

FORMAT_VERSION = 2

RELEASES = "releases"
MODELS = "models"

MANIFEST = "manifest.json"
MOVIES = "movies.csv"
EMBEDDINGS = "embeddings.npy"
EMBEDDINGS_INDEX = "movies.ann"
SIMILAR_MOVIES = "similar_movies.npy"
SIMILAR_MOVIES_INDEX = "similar_movies.ann"
USER_IDS = "user_ids.npy"
WATCHED_INDPTR = "watched_indptr.npy"
WATCHED_ROWS = "watched_rows.npy"
WATCHED_POSITIVE = "watched_positive.npy"
FILES = frozenset(
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
)
"""Every file of a release but the manifest."""

MOVIE_COLUMNS = ("movie_id", "title", "year", "genres", "popularity")
GENRE_SEPARATOR = "|"


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
FOLD_IN_PADDING = 0  # fills the rows of a fold-in up to the longest; no movie has this id
