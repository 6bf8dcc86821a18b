"""Metrics against values that were computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

from trainer.evaluation.metrics import coverage_at_k, hit_rate_at_k, ndcg_at_k, recall_at_k

# User 0 likes movies 1, 3 and 4, and the list is 3, 0, 1. User 1 likes movie 0, and the list has only movie 2.
RANKED = np.array([[3, 0, 1], [2, -1, -1]])
HELD_OUT = sparse.csr_matrix(np.array([[0, 1, 0, 1, 1], [1, 0, 0, 0, 0]], np.float32))


def test_recall_is_hits_divided_by_held_out_positives() -> None:
    """Recall is the number of hits divided by the number of the user's held-out positives."""
    assert recall_at_k(RANKED, HELD_OUT) == pytest.approx([2 / 3, 0])


def test_ndcg_discounts_by_rank_and_is_relative_to_the_best_list() -> None:
    """NDCG is the discounted gain of the list divided by that of the best possible list."""
    gained = 1 + 1 / math.log2(4)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg_at_k(RANKED, HELD_OUT) == pytest.approx([gained / ideal, 0])


def test_ndcg_of_a_perfect_list_is_one() -> None:
    """A user with fewer positives than k still reaches 1."""
    assert ndcg_at_k(np.array([[0, 1, 2]]), sparse.csr_matrix(np.array([[1.0, 0, 0]]))) == pytest.approx([1])


def test_hit_rate_is_one_for_a_user_with_any_hit() -> None:
    """A user with two hits counts 1, a user without a hit 0."""
    assert hit_rate_at_k(RANKED, HELD_OUT).tolist() == [1, 0]


def test_coverage_counts_movies_in_any_list() -> None:
    """A movie counts once, however many lists have it."""
    assert coverage_at_k(RANKED, num_movies=5) == pytest.approx(4 / 5)


def test_rankings_and_positives_must_have_the_same_users() -> None:
    """Another number of lists than of users is an error that names both numbers."""
    with pytest.raises(ValueError, match="expected one list per user, got 1 for 2 users"):
        recall_at_k(RANKED[:1], HELD_OUT)
