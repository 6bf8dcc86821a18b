"""Scans that begin together find what each of them finds alone."""

from __future__ import annotations

import numpy as np
import pytest

from protos.release.v1.scans import finish_scan, start_scan, start_scans
from protos.release.v1.vectors import IndexedVectors, leading_components

DIM, SCAN_DIMS, LIMIT = 16, 8, 10


@pytest.mark.parametrize("num_movies", [5, 60, 2_000])
@pytest.mark.parametrize("depth", [10, 40])
@pytest.mark.parametrize("excluded", ["none", "some", "all but three", "all"])
def test_scans_together_find_what_each_finds_alone(num_movies: int, depth: int, excluded: str) -> None:
    """It holds for few movies and for lists that want nearly all of them, whatever is excluded."""
    random = np.random.default_rng(num_movies + depth)
    vectors, queries = _unit_rows(random, num_movies), _unit_rows(random, 7)
    movies = IndexedVectors(vectors, leading_components(vectors, SCAN_DIMS), None, LIMIT)
    shuffled = random.permutation(num_movies).astype(np.int32)
    # Some are named twice, and one was not trained.
    some = np.concatenate([shuffled[: num_movies // 3], shuffled[:5], [num_movies]]).astype(np.int32)
    of_kind = {"none": shuffled[:0], "some": some, "all but three": shuffled[3:], "all": shuffled}
    excluded_rows = [of_kind[excluded]] * 6 + [of_kind["none"]]
    for query, rows, started in zip(
        queries, excluded_rows, start_scans(movies, queries, excluded_rows, depth), strict=True
    ):
        alone = finish_scan(movies, start_scan(movies, query, rows, depth, None), query, depth, LIMIT)
        together = finish_scan(movies, started, query, depth, LIMIT)
        assert together[0] == alone[0]
        assert together[1] == pytest.approx(alone[1])
        assert len(alone[0]) == min(LIMIT, num_movies - len(set(rows[rows < num_movies].tolist())))


def test_a_scan_of_equal_movies_has_a_whole_list() -> None:
    """Where all scores are the same, a sample tells nothing."""
    vectors = np.repeat(_unit_rows(np.random.default_rng(0), 1), 500, axis=0)
    movies = IndexedVectors(vectors, leading_components(vectors, SCAN_DIMS), None, LIMIT)
    nothing = np.empty(0, np.int32)
    for started in start_scans(movies, vectors[:3], [nothing] * 3, depth=20):
        rows, _ = finish_scan(movies, started, vectors[0], 20, LIMIT)
        assert len(set(rows)) == LIMIT


def _unit_rows(random: np.random.Generator, count: int) -> np.ndarray:
    rows = random.normal(size=(count, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows
