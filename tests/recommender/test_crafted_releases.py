"""Releases that somebody crafted, with the right checksums, are refused by name, and an older release is served."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids, undegraded
from tests.support.crafted import change_manifest, index_nodes, rewrite
from tests.support.releases import EVEN_USER, publish_checkerboard
from tools.processes import wait_for
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow

NUM_DESCENDANTS, FIRST_CHILD, VECTOR = 0, 2, 4  # columns of a node
TERABYTE = 10**12


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Yield (artifacts with two releases, address of a model server that serves both)."""
    artifacts = tmp_path_factory.mktemp("two")
    publish_checkerboard(artifacts)
    publish_checkerboard(artifacts, rotate_degrees=45)
    with model_server(artifacts, artifacts / "model_server.log") as (_, address):
        yield artifacts, address


def in_index(column: int, value: int, first_row: int, last_row: int | None = None) -> Callable[[Path], None]:
    """A change of movies.ann: this value in a column of these rows, which count from the first node of a tree."""

    def spoil(release: Path) -> None:
        nodes, num_items = index_nodes(release)
        nodes[num_items:][first_row:last_row, column] = value
        rewrite(release, "movies.ann", nodes.tobytes())

    return spoil


def _cycle(release: Path) -> None:
    """Make every split of the trees its own first child."""
    nodes, num_items = index_nodes(release)
    splits = [row for row in range(num_items, len(nodes)) if nodes[row, NUM_DESCENDANTS] > nodes.shape[1] - FIRST_CHILD]
    assert splits
    for row in splits:
        nodes[row, FIRST_CHILD] = row
    rewrite(release, "movies.ann", nodes.tobytes())


def _other_vectors(release: Path) -> None:
    nodes, num_items = index_nodes(release)
    nodes[:num_items, VECTOR:] = nodes[:num_items, VECTOR:][::-1]
    rewrite(release, "movies.ann", nodes.tobytes())


def _one_node(release: Path) -> None:
    nodes, _ = index_nodes(release)
    rewrite(release, "movies.ann", nodes[:1].tobytes())


def _without_items(release: Path) -> None:
    rewrite(release, "movies.ann", np.zeros_like(index_nodes(release)[0]).tobytes())


def in_probes(value: str) -> Callable[[Path], None]:
    """A change of the manifest: this value in every embedding of the probes."""

    def change(manifest: dict[str, Any]) -> None:
        for probe in manifest["probes"]:
            probe["embedding"] = [value, value]

    return lambda release: change_manifest(release, change)


def _huge_file(release: Path) -> None:
    """Make a file huge that takes no space on disk."""
    name = "watched_rows.npy"
    os.truncate(release / name, TERABYTE)

    def change(manifest: dict[str, Any]) -> None:
        next(file for file in manifest["files"] if file["name"] == name)["size"] = str(TERABYTE)

    change_manifest(release, change)


def _huge_manifest(release: Path) -> None:
    with (release / "manifest.json").open("ab") as file:
        file.truncate(TERABYTE)


def _deep_manifest(release: Path) -> None:
    (release / "manifest.json").write_text("[" * 100_000)


def _checksum_of_no_digits(release: Path) -> None:
    change_manifest(release, lambda manifest: manifest["files"][0].update(sha256="../" * 100))


def content_movies(count: int) -> Callable[[Path], None]:
    """A change of the manifest: so many movies that nobody liked have an embedding."""
    return lambda release: change_manifest(release, lambda manifest: manifest.update(num_content_movies=count))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (in_index(FIRST_CHILD, 2**31 - 1, 0), "movies.ann: expected trees over the items, got children out of range"),
        (in_index(FIRST_CHILD, -1, 0, 1), "movies.ann: expected trees"),
        (in_index(FIRST_CHILD, -(2**31), -1), "movies.ann: expected trees"),
        (in_index(NUM_DESCENDANTS, -5, 0, 1), "movies.ann: expected trees"),
        (in_index(NUM_DESCENDANTS, 0, 0, 1), "movies.ann: expected trees"),
        (in_index(NUM_DESCENDANTS, 2**31 - 1, 0, 1), "movies.ann: expected trees"),
        (in_index(NUM_DESCENDANTS, 2**31 - 1, -1), "movies.ann: expected 12 items, as the manifest says"),
        (_cycle, "movies.ann: expected trees"),
        (_other_vectors, "movies.ann: expected the vectors of the release"),
        (_one_node, "movies.ann: expected more than 12 nodes of 24 bytes, got 24 bytes"),
        (_without_items, "movies.ann: expected 12 items"),
        (in_probes("NaN"), "manifest.json: expected probes with finite embeddings, got NaN or infinity"),
        (in_probes("Infinity"), "manifest.json: expected probes with finite embeddings, got NaN or infinity"),
        (
            content_movies(3),
            "manifest.json: expected num_content_movies of 0 to 2, the movies that nobody liked, got 3",
        ),
        (content_movies(-1), "manifest.json: expected num_content_movies of 0 to 2"),
        (content_movies(1), "embeddings.npy: expected float32[13, 2], got float32[12, 2]"),
        (_huge_file, "MB of memory for it and for the release's titles, got"),
        (_huge_manifest, "manifest.json: expected at most 16777216 bytes, got more"),
        (_deep_manifest, "manifest.json: cannot be read"),
        (_checksum_of_no_digits, "expected a sha256 of 64 hex digits in the manifest, got '../../"),
    ],
)
def test_a_crafted_release_is_refused_and_an_older_served(
    two_releases: tuple[Path, str], tmp_path: Path, spoil: Callable[[Path], None], complaint: str
) -> None:
    """The process lives, the refusal names the file and what was expected, and the older release answers."""
    artifacts, model_server_address = two_releases
    shutil.copytree(artifacts / "releases", tmp_path / "releases")
    older, newer = sorted(int(folder.name) for folder in (tmp_path / "releases").iterdir())
    spoil(tmp_path / "releases" / str(newer))
    with (
        recommender(tmp_path, model_server_address, tmp_path / "recommender.log") as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_for(lambda: server.events("release refused"), "a release is refused")
        wait_until_serving(address)
        stub, request = RecommenderServiceStub(channel), RecommendRequest(user_id=EVEN_USER, limit=3)
        response = undegraded(lambda: stub.Recommend(request))
        assert (response.release, movie_ids(response)) == (older, [4, 6, 10])
        for refusal in server.events("release refused"):  # again after half a minute, if it is for another reason
            assert (refusal["release"], complaint in str(refusal["reason"])) == (newer, True), refusal
            assert "traceback" not in refusal
