"""ListReleases: the figures of all releases in the folder, those that are not served among them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.crafted import change_manifest
from tests.support.errors import failure_of
from tests.support.releases import publish_checkerboard
from tools.processes import wait_for
from tools.servers import model_server, recommender, wait_until_serving
from trainer.release.catalogue import releases_folder

pytestmark = pytest.mark.slow

EVALUATIONS = [
    {"ranking": "exact", "metrics": {"recall@20": 0.25, "ndcg@20": 0.5}, "num_users": 7},
    {"ranking": "index", "metrics": {"recall@20": 0.24}, "standard_errors": {"recall@20": 0.01}, "num_users": 7},
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, RecommenderServiceStub]]:
    """(folder of releases, the active version, client); the active release has figures."""
    artifacts = tmp_path_factory.mktemp("listed")
    version = publish_checkerboard(artifacts)
    releases = releases_folder(artifacts)
    change_manifest(releases / str(version), lambda manifest: manifest.update(evaluations=EVALUATIONS))
    with (
        model_server(artifacts, artifacts / "models.log") as (_, models),
        recommender(artifacts, models, artifacts / "log") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        yield releases, version, RecommenderServiceStub(channel)


def listed(stub: RecommenderServiceStub, limit: int = 0) -> api.ListReleasesResponse:
    return stub.ListReleases(api.ListReleasesRequest(limit=limit), timeout=60)


def copy(releases: Path, original: int, version: int, change: Any = None) -> None:
    """Publish a release once more under another version, which the model server does not have."""
    staged = releases / f"staged-{version}"
    shutil.copytree(releases / str(original), staged)
    manifest = json.loads((staged / "manifest.json").read_text())
    manifest["version"] = str(version)
    (staged / "manifest.json").write_text(json.dumps(manifest))
    if change is not None:
        change_manifest(staged, change)
    staged.rename(releases / str(version))


def test_the_active_release_has_its_figures(service: tuple[Path, int, RecommenderServiceStub]) -> None:
    """What it was trained on, what it scores, and what its searches cost are those of its manifest."""
    releases, version, stub = service
    answer = listed(stub)
    (release,) = [one for one in answer.releases if one.status.release == version]
    manifest = json.loads((releases / str(version) / "manifest.json").read_text())
    assert release.status.state == api.RELEASE_STATE_ACTIVE
    assert release.published.ToDatetime().strftime("%Y%m%d%H%M%S") == str(version)
    assert (release.dataset, release.num_users, release.num_movies) == ("hand-made", 5, 14)
    assert (release.num_trained_movies, release.num_ratings) == (12, int(manifest["num_ratings"]))
    assert release.num_bytes == sum(int(file["size"]) for file in manifest["files"])
    exact, index = release.evaluations
    assert (exact.ranking, dict(exact.metrics), exact.num_users) == ("exact", EVALUATIONS[0]["metrics"], 7)
    assert index.standard_errors["recall@20"] == 0.01
    assert [search.queries for search in release.searches] == ["recommend", "newcomers", "similar_movies"]
    for search in release.searches:
        assert search.served.engine == search.engine
        assert search.served.recall in [point.recall for point in search.points if point.engine == search.engine]
        assert search.served.latency_us > 0


def test_releases_that_are_not_served_are_listed(service: tuple[Path, int, RecommenderServiceStub]) -> None:
    """Newest first: one that cannot be read says why, one with too many figures too, one that waits has figures."""
    releases, version, stub = service
    figures = {f"metric-{number}": 0.5 for number in range(2000)}
    copy(releases, version, version + 1)
    copy(releases, version, version + 2, lambda manifest: manifest.update(num_users="0"))
    copy(releases, version, version + 3, lambda m: m.update(evaluations=[{"ranking": "exact", "metrics": figures}]))
    wait_for(lambda: len(listed(stub).releases) >= 4, "the releases are listed")
    answer = listed(stub)
    many, broken, waiting = answer.releases[:3]
    assert [one.status.release for one in answer.releases[:3]] == [version + 3, version + 2, version + 1]
    assert "expected figures of at most 32,000 bytes" in many.problem
    assert not many.evaluations
    assert broken.problem.endswith("expected num_users above 0, got 0")
    assert (waiting.problem, waiting.num_users) == ("", 5)
    assert len(listed(stub, 2).releases) == 2
    assert listed(stub, 2).num_releases == answer.num_releases


def test_a_wrong_limit_is_refused(service: tuple[Path, int, RecommenderServiceStub]) -> None:
    """More releases than an answer can hold are INVALID_ARGUMENT."""
    for limit in (-1, 101):
        failure = failure_of(lambda limit=limit: listed(service[2], limit))  # type: ignore[misc] # mypy knows no default
        assert (failure.code, list(failure.violations)) == ("INVALID_ARGUMENT", ["limit"])
