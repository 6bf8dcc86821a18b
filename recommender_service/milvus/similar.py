"""SimilarMovies from the lists that the trainer made, or by Milvus where these do not suffice."""

from __future__ import annotations

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.milvus.collection import SIMILARITY
from recommender_service.milvus.search import MilvusSearch, Wanted
from recommender_service.page_tokens import Cursor
from recommender_service.pages import Page, popular_page
from recommender_service.similarity import encoded, from_list, next_token, resolved


async def similar_by_milvus(
    search: MilvusSearch, request: api.SimilarMoviesRequest, after: Cursor | None, deadline: float
) -> bytes:
    """Answer a request: an encoded SimilarMoviesResponse.

    after: where the page before ended; None for the first page, or if the request asks for no pages.
    deadline: as for `MilvusSearch`.  Raises InvalidArgument, UnknownMovie and MilvusUnavailable.
    """
    release, is_paged = search.release, request.HasField("page_token")
    row, limit, excluded, qualifying = resolved(release, request)
    if not is_paged and (found := from_list(release, row, limit, excluded, qualifying)) is not None:
        return encoded(release, row, *found, "")
    excluded = np.append(excluded, np.int32(row))
    (vector,) = await search.vectors(SIMILARITY, np.array([row]), deadline)
    page: Page
    if not vector.any():  # nobody liked it, and it has neither genres nor a year: popular movies stand in
        rows, _, more = popular_page(release, limit, excluded, qualifying, after)
        page = rows, [0.0] * len(rows), more and is_paged
    else:
        wanted = Wanted(vector, limit, excluded, qualifying, request.filter if qualifying is not None else None)
        if is_paged:
            page = await search.page(SIMILARITY, wanted, after, deadline)
        else:
            page = (*await search.nearest(SIMILARITY, wanted, deadline), False)
    rows, scores, more = page
    return encoded(release, row, rows, scores, next_token(release, request, rows, scores) if more else "")
