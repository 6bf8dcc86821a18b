"""Metrics against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

from trainer.evaluation.metrics import coverage_at_k, hit_rate_at_k, ndcg_at_k, recall_at_k

# user 0 likes movies 1, 3 and 4 and is offered 3, 0, 1; user 1 likes movie 0 and is offered 2 and nothing more
RANKED = np.array([[3, 0, 1], [2, -1, -1]])
HELD_OUT = sparse.csr_matrix(np.array([[0, 1, 0, 1, 1], [1, 0, 0, 0, 0]], np.float32))


def test_recall_is_hits_over_everything_the_user_liked() -> None:
    assert recall_at_k(RANKED, HELD_OUT) == pytest.approx([2 / 3, 0])


def test_ndcg_discounts_by_rank_and_divides_by_the_best_list_possible() -> None:
    gained = 1 + 1 / math.log2(4)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg_at_k(RANKED, HELD_OUT) == pytest.approx([gained / ideal, 0])


def test_ndcg_of_a_perfect_list_shorter_than_k_is_one() -> None:
    assert ndcg_at_k(np.array([[0, 1, 2]]), sparse.csr_matrix(np.array([[1.0, 0, 0]]))) == pytest.approx([1])


def test_hit_rate_counts_users_with_any_hit() -> None:
    assert hit_rate_at_k(RANKED, HELD_OUT).tolist() == [1, 0]


def test_coverage_counts_movies_that_anybody_was_offered() -> None:
    assert coverage_at_k(RANKED, num_movies=5) == pytest.approx(4 / 5)


def test_lists_and_held_out_parts_must_be_of_the_same_users() -> None:
    with pytest.raises(ValueError, match="expected one list per user, got 1 for 2 users"):
        recall_at_k(RANKED[:1], HELD_OUT)
