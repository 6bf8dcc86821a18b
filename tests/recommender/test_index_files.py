"""Indexes over leading components, and those of format 3 over whole vectors: both find the nearest movies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.release.v1.search import nearest
from recommender_service.joint_scans import JointScans
from recommender_service.release import Release
from recommender_service.release_files import ReleaseError
from recommender_service.release_loading import load_release
from recommender_service.resolved_request import resolve
from tests.support.crafted import EUCLIDEAN_COLUMNS, change_manifest, rewrite
from tests.support.old_formats import rewrite_as
from tests.support.releases import publish_random

pytestmark = pytest.mark.slow

DIM, LIMIT, MIN_RECALL = 64, 10, 0.85


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release of many movies, along whose principal axes the leading components vary most."""
    return tmp_path / "releases" / str(publish_random(tmp_path, 2000, DIM, heavy=100))


def recall(release: Release) -> float:
    """The share of the ten nearest movies that the index finds, of queries near movies. It is calibrated for users."""
    movies, rng = release.movie_embeddings, np.random.default_rng(0)
    queries = movies.vectors[::20] + 0.02 * rng.normal(size=(100, DIM)).astype(np.float32)
    shares = []
    for query in queries / np.linalg.norm(queries, axis=1, keepdims=True):
        found, cosines = nearest(movies, release.effort, query, LIMIT, np.array([], np.int32))
        np.testing.assert_allclose(cosines, movies.vectors[found] @ query, rtol=0, atol=1e-6)
        shares.append(len(set(found) & set(np.argsort(-movies.vectors @ query)[:LIMIT].tolist())) / LIMIT)
    return float(np.mean(shares))


def test_the_index_finds_candidates_by_leading_components(folder: Path) -> None:
    """The index is over fewer components than vectors have, and what it finds is ranked by all of them."""
    release = load_release(folder)
    index_dims = release.manifest.index.recommend.index_dims
    assert release.effort.uses_index
    assert release.movie_embeddings.index_finds_candidates
    assert release.movie_embeddings.index is not None
    assert release.movie_embeddings.index.f == index_dims + 1 < DIM
    assert recall(release) > MIN_RECALL


def test_the_users_of_a_batch_are_scanned_together(folder: Path) -> None:
    """A lone request is answered by the index; eight of one call are scanned, and each finds what is nearest to it."""
    release = load_release(folder)
    movies, user_ids = release.movie_embeddings, release.watched.user_ids[:8].tolist()
    requests = [resolve(release, RecommendRequest(user_id=user_id, include_watched=True)) for user_id in user_ids]
    scans, queries = JointScans(release), movies.vectors[:8]
    assert scans.add(requests[0], queries[0]) is None
    added = [scans.add(request, query, 8) for request, query in zip(requests, queries, strict=True)]
    for row, scan in enumerate(added):
        nothing = np.array([], np.int32)
        found, _ = nearest(movies, release.effort, queries[row], 1, nothing, scan=scans.begin(scan))
        assert found == [row]


def test_a_scan_that_leaves_out_much_begins_by_itself(folder: Path) -> None:
    """It would hold up those that begin with it. So only the two before it begin with the first of eight."""
    release = load_release(folder)
    movies, user_ids = release.movie_embeddings, release.watched.user_ids[:8].tolist()
    requests = [resolve(release, RecommendRequest(user_id=user_id)) for user_id in user_ids]
    requests[3] = requests[3]._replace(excluded_rows=np.zeros(200_000, np.int32))
    scans = JointScans(release)
    added = [scans.add(request, movies.vectors[0], 8) for request in requests]
    for first, num_started in ((0, 3), (3, 4), (4, 8)):
        scans.begin(added[first])
        assert [scan.started is not None for scan in added if scan is not None] == [
            place < num_started for place in range(8)
        ]


def test_format_3_has_an_index_over_whole_vectors(folder: Path) -> None:
    """A release of the format before is served, and its index is searched with all components."""
    rewrite_as(3, folder)
    release = load_release(folder)
    assert release.effort.uses_index
    assert not release.movie_embeddings.index_finds_candidates
    assert release.movie_embeddings.index is not None
    assert release.movie_embeddings.index.f == DIM
    assert recall(release) > MIN_RECALL


def test_an_index_with_another_length_of_the_rest_is_refused(folder: Path) -> None:
    """The last component of an item, which no vector has, is checked too."""
    index_dims = load_release(folder).manifest.index.recommend.index_dims
    nodes = np.fromfile(folder / "movies.ann", np.float32).reshape(-1, EUCLIDEAN_COLUMNS + index_dims + 1)
    nodes[7, -1] += 0.001
    rewrite(folder, "movies.ann", nodes.tobytes())
    with pytest.raises(ReleaseError, match=r"movies\.ann: expected the vectors of the release, got others"):
        load_release(folder)


def test_an_index_of_another_width_is_refused(folder: Path) -> None:
    """An index over whole vectors does not pass for one over leading components, whatever the manifest says of it."""
    vectors = np.load(folder / "embeddings.npy")
    rewrite(folder, "movies.ann", np.zeros((3 * len(vectors), EUCLIDEAN_COLUMNS + DIM), np.int32).tobytes())
    with pytest.raises(ReleaseError, match=r"movies\.ann: expected more than 2000 nodes of 148 bytes, got"):
        load_release(folder)


def test_an_index_of_other_components_is_refused(folder: Path) -> None:
    """The index finds candidates by the components that scans look at, or by all."""
    change_manifest(folder, lambda manifest: manifest["index"]["recommend"].update(index_dims=7))
    with pytest.raises(ReleaseError, match=r"expected index\.recommend\.index_dims 0 or 32, got 7"):
        load_release(folder)


def test_leading_components_have_to_be_equal(folder: Path) -> None:
    """Only the length of the rest, which is computed anew, may differ in its last bits."""
    index_dims = load_release(folder).manifest.index.recommend.index_dims
    nodes = np.fromfile(folder / "movies.ann", np.float32).reshape(-1, EUCLIDEAN_COLUMNS + index_dims + 1)
    nodes[7, -1] += 1e-6
    rewrite(folder, "movies.ann", nodes.tobytes())
    load_release(folder)
    nodes[7, -2] += 1e-6
    rewrite(folder, "movies.ann", nodes.tobytes())
    with pytest.raises(ReleaseError, match=r"movies\.ann: expected the vectors of the release, got others"):
        load_release(folder)
