"""Newcomers whose likes come in order: the user tower weighs them as the trainer does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from trainer.model.cosine_softmax import Embeddings
from trainer.model.newcomers import counts_in_order, newcomer_embeddings
from trainer.model.parts import Parts
from trainer.model.tensorflow_quietly import tf
from trainer.model.user_tower import UserTower
from trainer.model.vectors import unit_rows

MOVIE_IDS = np.arange(10, 16)
LIKED = [[12, 10, 15], [11, 999, 14], [13, -1, -1]]  # the latest last; nobody knows 999, and −1 fills up
NEWER = [[2, 0, 3, 0, 0, 1], [0, 2, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0]]  # by movie, 1 of the latest


@pytest.fixture
def embeddings() -> Embeddings:
    """Random ones, of six movies."""
    rng = np.random.default_rng(0)
    tastes, order = (unit_rows(rng.standard_normal((6, dim), np.float32)) for dim in (5, 3))
    axes = np.linalg.qr(rng.standard_normal((8, 7), np.float32))[0]
    parts = Parts(tastes, order, axes, popularity_component=0.3)
    return Embeddings(np.eye(1, 9, dtype=np.float32), np.eye(6, 9, dtype=np.float32), 0.15, parts)


def folded_in(embeddings: Embeddings, order_tells: bool, liked: list[list[int]]) -> np.ndarray:
    """float32[num_newcomers, d]: what the tower's `fold_in_order` returns."""
    tower = UserTower(np.array([1]), embeddings.users, MOVIE_IDS, 0.15, embeddings.parts, order_tells)
    answer = tower.fold_in_order(tf.constant(liked, tf.int64))
    folded: np.ndarray = answer["user_embedding"].numpy()
    return folded


def test_the_tower_weighs_likes_as_the_trainer_does(embeddings: Embeddings) -> None:
    """Later likes count more, in tastes and even more in what comes next; unknown movies and padding do not count."""
    likes, recent = counts_in_order(sparse.csr_matrix(np.array(NEWER, np.float32)))
    np.testing.assert_allclose(likes.toarray()[0], [np.exp(-0.1), 0, np.exp(-0.2), 0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(recent.toarray()[0], [np.exp(-1 / 3), 0, np.exp(-2 / 3), 0, 0, 1], atol=1e-6)
    expected = newcomer_embeddings(likes, embeddings, recent)
    np.testing.assert_allclose(folded_in(embeddings, True, LIKED), expected, atol=1e-5)


def test_order_counts_only_where_it_tells_something(embeddings: Embeddings) -> None:
    """Where later ratings tell no more than earlier ones, likes are a set."""
    set_of_likes = sparse.csr_matrix(np.array(NEWER) > 0, dtype=np.float32)
    expected = newcomer_embeddings(set_of_likes, embeddings)
    np.testing.assert_allclose(folded_in(embeddings, False, LIKED), expected, atol=1e-5)
    assert not np.allclose(folded_in(embeddings, True, LIKED), expected, atol=1e-3)
