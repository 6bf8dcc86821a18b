"""Embeddings for movies that nobody liked, from what is known of them: genres, year, words of the title, tags.

A ridge regression learns from the trained movies how content tells of the embedding. What it predicts is shorter than a
trained embedding, the shorter the less the content tells. So its dot product with a user is the cosine that such a
movie may be expected to have, and lists stay as good as without these movies. Scaled to length 1, they would take 3 %
of the places and cost 2 % of NDCG.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from trainer.model.content import content_of
from trainer.model.cosine_softmax import Embeddings
from trainer.model.popularity import FILLING

WORDS_WEIGHT = 0.3  # genres, year and tags have weight 1
RIDGE = 5.0  # from 1 to 20 the recall among held-out movies changes little
MAX_LENGTH = 0.999  # of a prediction, so that its embedding differs from a trained one's


def content_features(table: pd.DataFrame) -> np.ndarray:
    """Return float64[len(table), num_features]; zeros for a movie of which nothing is known.

    table: as for `content_of`.
    """
    content = content_of(table)
    return np.hstack([content.genres, content.years, content.tags, WORDS_WEIGHT * content.words])


def predicted_embeddings(known: np.ndarray, movies: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return float32[num_wanted, d], rows of length below 1: the embeddings to be expected from the features.

    known: float64[num_movies, num_features], of movies with an embedding.  movies: float32[num_movies, d], these.
    wanted: float64[num_wanted, num_features], of movies without.
    """
    typical, mean = known.mean(axis=0), movies.mean(axis=0, dtype=np.float64)
    centred = known - typical
    gram = centred.T @ centred + RIDGE * np.eye(centred.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (movies - mean))
    predicted = mean + (wanted - typical) @ weights
    lengths = np.linalg.norm(predicted, axis=1, keepdims=True)
    embeddings: np.ndarray = (predicted * (MAX_LENGTH / np.maximum(lengths, MAX_LENGTH))).astype(np.float32)
    return embeddings


def expected_embeddings(features: np.ndarray, movies: np.ndarray, num_ratings: np.ndarray) -> np.ndarray:
    """Return float32[num_untrained, d], rows of length below 1: predictions for movies that nobody liked.

    Whoever rated such a movie did not like it. So the prediction is divided by one more than the number of its ratings:
    on MovieLens, rated ones are liked four times less often than others.

    features: float64[num_trained_movies + num_untrained, num_features].  movies: float32[num_trained_movies, d].
    num_ratings: int64[num_untrained].
    """
    predicted = predicted_embeddings(features[: len(movies)], movies, features[len(movies) :])
    expected: np.ndarray = (predicted / (1 + num_ratings)[:, None]).astype(np.float32)
    return expected


def with_content(embeddings: Embeddings, expected: np.ndarray) -> Embeddings:
    """Return embeddings with the expected ones after those of the trained movies, brought to length 1 for the index.

    What is missing goes into the component that is 0 for users, so that it changes no dot product.

    embeddings: with components of popularity.  expected: float32[n, d], rows of length below 1.
    """
    others = np.delete(expected, FILLING, axis=1)
    filled = expected.copy()
    filled[:, FILLING] = np.sqrt(1 - np.square(others, dtype=np.float64).sum(axis=1))
    return replace(embeddings, movies=np.vstack([embeddings.movies, filled]))
