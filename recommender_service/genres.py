"""The genres of a release's movies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api


def genre_masks(movies: Sequence[api.Movie]) -> dict[str, np.ndarray]:
    """For each genre, in alphabetical order: bool[num_movies], whether the movie has it."""
    names = sorted({genre for movie in movies for genre in movie.genres})
    genres = {name: np.zeros(len(movies), np.bool_) for name in names}
    for row, movie in enumerate(movies):
        for genre in movie.genres:
            genres[genre][row] = True
    return genres


def encoded_list(genres: Mapping[str, np.ndarray], version: int) -> bytes:
    """An encoded ListGenresResponse.  genres: as `genre_masks` returns them.  version: of the release."""
    counted = [api.Genre(name=name, num_movies=int(np.count_nonzero(mask))) for name, mask in genres.items()]
    return api.ListGenresResponse(genres=counted, release=version).SerializeToString()
