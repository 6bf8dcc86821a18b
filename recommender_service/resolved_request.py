"""A checked request, with its ids and keys replaced by rows of a release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import (
    MAX_LIKED,
    NO_ROWS,
    check_count,
    check_id,
    check_key,
    check_limit,
    excluded_rows,
    qualifying_mask,
    rows_of_movies,
)
from recommender_service.errors import FIELD_MISSING, FIELDS_EXCLUDE_EACH_OTHER, InvalidArgument
from recommender_service.hidden_movies import rows_to_leave_out
from recommender_service.release import Release
from recommender_service.user_embeddings.source import FoldInKey, fold_in_key

if TYPE_CHECKING:  # neither is imported while events are off
    from recommender_service.feedback.feedback import Feedback
    from recommender_service.feedback.history import History

NO_NUMBERS: Sequence[int] = ()
NO_KEYS: Sequence[str] = ()


class ResolvedRequest(NamedTuple):
    """A checked request, its ids and keys replaced by rows of a release.

    excluded_rows: int32, movies that must not be in the answer.
    qualifying: bool[num_movies], movies that pass the filter; None if there is no filter.
    movie_filter: the filter; None if there is none.
    user: the position of the user in the release; −1 if it does not know them.
    history: takes the place of what the release knows of the user, if events have changed it; else None.
    named_rows: trained movies that the request says the user likes.
    user_id: the user whose trained embedding is needed; None if a fold-in, or nothing, is needed.
    fold_in_key: the key of the fold-in that is needed; None if none is.
    ignored_movie_ids, ignored_movie_keys: what has no effect, for the answer.
    degraded_reason: why events may be missing; empty if none are.
    """

    limit: int
    excluded_rows: np.ndarray
    qualifying: np.ndarray | None
    movie_filter: api.MovieFilter | None
    user: int
    history: History | None
    named_rows: Sequence[int]
    user_id: int | None
    fold_in_key: FoldInKey | None
    explain: bool
    ignored_movie_ids: Sequence[int]
    ignored_movie_keys: Sequence[str]
    degraded_reason: str


def resolve(release: Release, request: api.RecommendRequest, feedback: Feedback | None = None) -> ResolvedRequest:
    """Check a request and look up its ids and keys in the release. Raises InvalidArgument.

    feedback: what users did since; None if events are off.
    """
    limit = check_limit(request.limit)
    user_id = user_id_of(release, request)
    user = release.watched.find(user_id) if user_id is not None else -1
    qualifying = qualifying_mask(release, request.filter) if request.HasField("filter") else None
    excluded = rows_to_leave_out(release, request, user)
    needed_id = user_id if user >= 0 and release.watched.has_likes[user] else None
    key: FoldInKey | None = None
    named_rows, ignored_ids, ignored_keys = NO_NUMBERS, NO_NUMBERS, NO_KEYS
    history, degraded_reason = None, ""
    if feedback is not None and (user_id is not None or request.user_key):
        history, degraded_reason = feedback.history(release, request, user), feedback.problem
        if history is not None:
            excluded, needed_id, key = _from_history(release, request, history, user_id)
    if request.exclude_movie_ids or request.exclude_movie_keys:
        rows, ignored_ids, ignored_keys = excluded_rows(release, request.exclude_movie_ids, request.exclude_movie_keys)
        excluded = np.concatenate([excluded, rows])
    if request.liked_movie_ids or request.liked_movie_keys:
        named_rows, without_embedding, keys_without_embedding = _named_likes(release, request)
        ignored_ids = list(dict.fromkeys([*without_embedding, *ignored_ids]))
        ignored_keys = list(dict.fromkeys([*keys_without_embedding, *ignored_keys]))
        if named_rows:
            excluded = np.concatenate([excluded, np.array(named_rows, np.int32)])
            needed_id = None
            liked = _liked_in_order if request.liked_in_order else _liked_rows
            key = _key(release, liked(release, user, history, named_rows), request.liked_in_order)
    return ResolvedRequest(
        limit,
        excluded,
        qualifying,
        request.filter if qualifying is not None else None,
        user,
        history,
        named_rows,
        needed_id,
        key,
        request.explain,
        ignored_ids,
        ignored_keys,
        degraded_reason,
    )


def _named_likes(release: Release, request: api.RecommendRequest) -> tuple[list[int], list[int], list[str]]:
    """Return (rows of the trained movies that the request says the user likes; ids of the others; keys of the others).

    Raises InvalidArgument.
    """
    ids, keys = request.liked_movie_ids, request.liked_movie_keys
    check_count("liked_movie_ids", MAX_LIKED, ids, keys)
    return rows_of_movies(release, ids, keys, release.num_trained_movies)


def user_id_of(release: Release, request: api.RecommendRequest) -> int | None:
    """The id of the user that the request names; None for a key the release does not know, or for nobody.

    Raises InvalidArgument.
    """
    if request.user_key:
        if request.HasField("user_id"):
            raise InvalidArgument("user_key", "expected user_id or user_key, got both", FIELDS_EXCLUDE_EACH_OTHER)
        check_key("user_key", request.user_key, release.user_keys is not None, "user_id")
        return release.user_keys.id_of(request.user_key) if release.user_keys is not None else None
    if request.HasField("user_id"):
        check_id("user_id", request.user_id)
        return request.user_id
    if not (request.liked_movie_ids or request.liked_movie_keys):
        problem = "expected an id or user_key, or else movies that the user likes; got none"
        raise InvalidArgument("user_id", problem, FIELD_MISSING)
    return None


def _from_history(
    release: Release, request: api.RecommendRequest, history: History, user_id: int | None
) -> tuple[np.ndarray, int | None, FoldInKey | None]:
    """Return (rows to leave out; the user whose trained embedding is needed or None; the key of the fold-in needed)."""
    excluded = history.hidden_rows
    if not request.include_watched:
        excluded = np.concatenate([history.watched_rows, excluded])
    if history.has_release_likes:
        return excluded, user_id, None
    if not len(history.liked_rows):
        return excluded, None, None
    if history.liked_in_order is not None:
        return excluded, None, _key(release, history.liked_in_order, in_order=True)
    return excluded, None, _key(release, history.liked_rows, in_order=False)


def _key(release: Release, liked: np.ndarray, in_order: bool) -> FoldInKey:
    """liked: int rows of trained movies.  in_order: whether they are in the order of liking.

    A release that does not tell the order has a model that knows of none, so its likes are a set.
    """
    return fold_in_key(release.movie_ids[liked], in_order and release.watched.newer is not None)


def liked_rows_of(release: Release, request: ResolvedRequest) -> np.ndarray:
    """int rows of the trained movies that the user of a resolved request is known to like, ascending."""
    return _liked_rows(release, request.user, request.history, request.named_rows)


def _liked_rows(release: Release, user: int, history: History | None, named_rows: Sequence[int]) -> np.ndarray:
    """int rows of the trained movies that the user is known to like, ascending.

    user: their position in the release, −1 if unknown.  history: takes the release's place if there is one.
    named_rows: what the request says they like.
    """
    liked = NO_ROWS
    if history is not None:
        liked = history.liked_rows
    elif user >= 0:
        liked = release.watched.liked_rows_of(user)
    return np.union1d(liked, named_rows).astype(np.int32) if named_rows else liked


def _liked_in_order(release: Release, user: int, history: History | None, named_rows: Sequence[int]) -> np.ndarray:
    """The same in the order of liking, as far as it is known: those that the request names are the latest."""
    before: np.ndarray | None = NO_ROWS
    if history is not None:
        before = history.liked_in_order
    elif user >= 0:
        before = release.watched.liked_rows_in_order(user)
    if before is None:
        before = _liked_rows(release, user, history, NO_NUMBERS)
    last_named = np.array(list(dict.fromkeys(reversed(named_rows)))[::-1], np.int32)
    return np.concatenate([before[~np.isin(before, last_named)], last_named])
