"""Checks an Annoy index before Annoy opens it, for Annoy trusts its file: a child out of range ends the process.

The layout is that of annoylib.h in annoy 1.17. Nodes have equal size: first one per item, then those of the trees, then
copies of the roots. A node is

    int32 n_descendants, float32 a, int32 children[2], float32 v[dim]    with the metric "euclidean"
    int32 n_descendants, int32 children[2], float32 v[dim]               with "angular"; items have a float32 norm and
                                                                         `v` in place of the children

An item has one descendant, itself, and `v` is its vector. A node whose descendants fit into the space from `children`
to the end lists these items there. Any other node is a split, and has the descendants of its two children.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from recommender_service.release_files import ReleaseError
from recommender_service.verified_files import VerifiedFile

Metric = Literal["angular", "euclidean"]
COLUMNS_BEFORE_CHILDREN = {"angular": 1, "euclidean": 2}  # of four bytes
COLUMNS_BEFORE_VECTOR = {"angular": 3, "euclidean": 4}
BLOCK_ROWS = 4096  # are compared at once; a comparison of all would leave 15 MB of memory unused
NORM_TOLERANCE = 1e-3  # of vectors that have unit length
ROUNDING = 1e-5  # a length that the trainer computed may differ in its last bits


def check_annoy_file(file: VerifiedFile, metric: Metric, vectors: np.ndarray, num_exact: int) -> None:
    """Check that the file is an index over these vectors that Annoy can search.

    vectors: float32[num_items, dim], rows of unit length.  Raises ReleaseError.
    num_exact: leading components that must be equal; those after them may differ by ROUNDING.
    """
    num_items, dim = vectors.shape
    columns = COLUMNS_BEFORE_VECTOR[metric] + dim
    num_bytes = file.path.stat().st_size
    if num_bytes % (4 * columns) or num_bytes <= num_items * 4 * columns:
        raise ReleaseError(
            f"{file}: expected more than {num_items} nodes of {4 * columns} bytes, got {num_bytes} bytes"
        )
    nodes = np.memmap(file.path, np.int32, mode="r").view(np.ndarray).reshape(-1, columns)
    num_descendants = nodes[:, 0]
    items, inner = nodes[:num_items], nodes[num_items:]
    if (num_descendants[:num_items] != 1).any() or num_descendants[-1] != num_items:
        raise ReleaseError(f"{file}: expected {num_items} items, as the manifest says, got another number")
    blocks = [slice(row, row + BLOCK_ROWS) for row in range(0, num_items, BLOCK_ROWS)]
    if not all(_are_equal(items[block, -dim:].view(np.float32), vectors[block], num_exact) for block in blocks):
        raise ReleaseError(f"{file}: expected the vectors of the release, got others")
    if metric == "angular" and not (np.abs(items[:, 1].view(np.float32) - 1) < NORM_TOLERANCE).all():
        raise ReleaseError(f"{file}: expected norms of 1, got others")
    if not _are_trees(inner[:, 0], inner[:, COLUMNS_BEFORE_CHILDREN[metric] :], num_descendants, num_items):
        raise ReleaseError(f"{file}: expected trees over the items, got children out of range or out of place")


def _are_equal(items: np.ndarray, vectors: np.ndarray, num_exact: int) -> bool:
    """Whether the leading `num_exact` components are the same, and the others nearly."""
    nearly = np.allclose(items[:, num_exact:], vectors[:, num_exact:], rtol=0, atol=ROUNDING)
    return nearly and np.array_equal(items[:, :num_exact], vectors[:, :num_exact])


def _are_trees(
    num_inner_descendants: np.ndarray, children: np.ndarray, num_descendants: np.ndarray, num_items: int
) -> bool:
    """Whether every node that is no item lists items or splits into two nodes whose descendants add up to its own.

    As every node has a descendant and each child has fewer than its parent, no search goes round in circles.

    num_inner_descendants: int32 of each of these nodes.  children: int32 of the same length by the most that fit.
    num_descendants: int32[num_nodes], of every node.
    """
    if (num_inner_descendants < 1).any():
        return False
    is_split = num_inner_descendants > children.shape[1]
    lists = children[~is_split]
    listed = lists[np.arange(children.shape[1]) < num_inner_descendants[~is_split, None]]
    if (listed < 0).any() or (listed >= num_items).any():
        return False
    pairs = children[is_split, :2]
    if (pairs < 0).any() or (pairs >= len(num_descendants)).any():
        return False
    sums = num_descendants[pairs].sum(axis=1, dtype=np.int64)
    return bool((sums == num_inner_descendants[is_split]).all())
