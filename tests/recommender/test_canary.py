"""A canary serves a share of the users, the same ones in every process, until it is promoted or withdrawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from protos.release.v1.canary import CANARY, Canary
from tests.support.answers import STALLED, movie_ids, undegraded
from tests.support.callers import Callers
from tests.support.errors import failure_of
from tests.support.events import HIDDEN, MISSING, REMOVED, event, events_status, record
from tests.support.metrics import Metrics
from tests.support.releases import EVEN_USER, ODD_USER, publish_checkerboard
from tests.support.replicas import SETTINGS, USERS, Replicas
from tools.processes import wait_for
from tools.servers import health_status, model_server, recommender, wait_until_serving
from trainer.release import catalogue
from trainer.release.canary import canary_of
from trainer.release.catalogue import published_releases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

UNUSABLE = {
    '{"release": 1, "share": 2}': "expected share above 0 and at most 1, got '2'",
    '{"release": "1", "share": 0.5}': "expected release to be the version of one, got '1'",
    "{}": "got b'{}'",
    "[" * 900: "got b'[[[",
}
STRETCH = {True: 1.3, False: 1.0}  # by whether the release is the canary


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """Two recommenders that serve a first release."""
    artifacts = tmp_path_factory.mktemp("canary")
    publish_checkerboard(artifacts)
    with ExitStack() as stack:
        _, models = stack.enter_context(model_server(artifacts, artifacts / "models.log"))
        replicas = Replicas(artifacts, models)
        for i in range(2):
            settings = {**SETTINGS, "EVENTS_URL": f"sqlite:///{artifacts}/events.db"}
            server, address = stack.enter_context(recommender(artifacts, models, artifacts / f"log{i}", **settings))
            replicas.servers.append(server)
            replicas.stubs.append(RecommenderServiceStub(stack.enter_context(grpc.insecure_channel(address))))
        for server in replicas.servers:
            wait_until_serving(str(server.events("listening")[0]["address"]))
        for stub in replicas.stubs:
            events_status(stub)
        yield replicas


@pytest.fixture
def replicas(running: Replicas) -> Iterator[Replicas]:
    """Two recommenders that serve one release to all users; a canary that a test leaves behind is promoted."""
    yield running
    if canary_of(running.artifacts) is not None:
        running.trainer("promote")
    (running.artifacts / "releases" / CANARY).unlink(missing_ok=True)
    running.wait_for(published_releases(running.artifacts)[-1].version)


def test_a_share_of_the_users_gets_the_canary(replicas: Replicas) -> None:
    """Its users are the same everywhere; requests without a user, or that name a release, do not ask whose they are."""
    stable = replicas.statuses()[0].release
    canary = publish_checkerboard(replicas.artifacts, rotate_degrees=120, canary_share=0.2)
    replicas.wait_for(stable, canary, 0.2)
    few = replicas.users_of(canary)
    assert abs(len(few) / len(USERS) - 0.2) < 0.08
    stub, theirs = replicas.stubs[0], min(few)
    assert stub.Recommend(api.RecommendRequest(liked_movie_ids=[1, 3])).release == stable
    assert stub.SimilarMovies(api.SimilarMoviesRequest(movie_id=2)).release == stable
    assert stub.Recommend(api.RecommendRequest(user_id=theirs, release=stable)).release == stable
    assert stub.SimilarMovies(api.SimilarMoviesRequest(movie_id=2, release=canary)).release == canary
    first = stub.Recommend(api.RecommendRequest(user_id=theirs, limit=3, page_token=""))
    later = api.RecommendRequest(user_id=theirs, limit=3, page_token=first.next_page_token)
    assert first.release == stub.Recommend(later).release == canary

    replicas.trainer("canary", str(canary), "--share", "60%")
    replicas.wait_for(stable, canary, 0.6)
    more = replicas.users_of(canary)
    assert few < more
    metrics = Metrics(str(replicas.servers[0].events("listening")[0]["metrics"]))
    assert (metrics.sum("recommender_canary_release"), metrics.sum("recommender_canary_share")) == (canary, 0.6)
    for release in ("stable", "canary"):
        answers = metrics.sum("recommender_release_answers_total", release=release, source="SOURCE_POPULAR")
        assert answers >= 10
        assert answers <= metrics.sum("recommender_release_calls_total", release=release, code="OK")
    shares = [line["share"] for line in replicas.servers[0].events("canary") if line["release"] == canary]
    assert shares == [0.2, 0.6]
    states = {release.release: release.state for release in replicas.statuses()[0].releases}
    assert states == {stable: api.RELEASE_STATE_ACTIVE, canary: api.RELEASE_STATE_CANARY}


@pytest.mark.long
def test_no_answer_mixes_a_canary_with_the_stable_release(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a canary comes, grows, is withdrawn, and another is promoted, each answer is its release's own."""
    monkeypatch.setattr(catalogue, "HANDOVER_S", 15.0)  # a recommender that stalls sees the withdrawal later
    stable = replicas.statuses()[0].release
    canaries: set[int] = set()
    problems: list[str] = []
    answers: list[int] = []

    def call(stub: RecommenderServiceStub) -> None:
        for user, nearest in ((EVEN_USER, 4), (ODD_USER, 3)):
            response = stub.Recommend(api.RecommendRequest(user_id=user, limit=1), timeout=60)
            answers.append(response.release)
            is_stalled = _is_stalled(response.degraded_reason)
            expected = math.cos(math.radians(STRETCH[response.release != stable] * nearest))
            is_right = abs(response.movies[0].score - expected) <= 1e-4
            if is_stalled and response.source == api.SOURCE_FOLDED_IN:  # from what the user likes
                is_right = True
            if not is_right or (response.degraded_reason and not is_stalled):
                problems.append(str(response))

    address = str(replicas.servers[0].events("listening")[0]["address"])
    callers = Callers(address, 2, call)
    try:
        for end, share in (("withdraw", 0.5), ("promote", 1.0)):
            canary = publish_checkerboard(replicas.artifacts, 70.0 + 100 * share, STRETCH[True], canary_share=share)
            canaries.add(canary)
            replicas.wait_for(stable, canary, share)
            replicas.trainer("canary", str(canary), "--share", "100%")
            replicas.wait_for(stable, canary, 1.0)
            wait_for(partial(_has_more, answers, len(answers) + 20), "calls are answered meanwhile")
            replicas.trainer(end)
            replicas.wait_for(stable if end == "withdraw" else canary)
            if end == "withdraw":
                wait_for(partial(_is_withdrawn, replicas, stable, canary), "the canary is gone, and its model")
    finally:
        callers.stop()
    assert problems == []
    assert set(answers) == {stable, *canaries}
    assert replicas.statuses()[0].previous_release == stable


def _is_stalled(degraded_reason: str) -> bool:
    """Whether a stall of the event store or of the model server is the only reason."""
    is_stalled = MISSING in degraded_reason or STALLED.search(degraded_reason) is not None
    return is_stalled and "NOT_FOUND" not in degraded_reason  # a model that was withdrawn too soon leads to that


def _is_withdrawn(replicas: Replicas, stable: int, canary: int) -> bool:
    status = replicas.statuses()[0]
    models, releases = status.model_server.available_versions, {release.release for release in status.releases}
    return stable in models and canary not in models and canary not in releases


def _has_more(answers: list[int], count: int) -> bool:
    return len(answers) > count


def test_an_active_release_becomes_a_canary_for_a_restart_too(replicas: Replicas) -> None:
    """What is active for all may become a canary; a recommender that starts later serves the same users."""
    stable = replicas.statuses()[0].release
    canary = publish_checkerboard(replicas.artifacts, rotate_degrees=120)
    replicas.wait_for(canary)
    replicas.trainer("canary", str(canary), "--share", "30%")
    replicas.wait_for(stable, canary, 0.3)
    before = replicas.users_of(canary)
    with (
        recommender(replicas.artifacts, replicas.models, replicas.artifacts / "log3") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        later = Replicas(replicas.artifacts, replicas.models)
        later.stubs = [replicas.stubs[0], RecommenderServiceStub(channel)]
        later.wait_for(stable, canary, 0.3)
        assert later.users_of(canary) == before


def _is_told(stub: RecommenderServiceStub, problem: str) -> bool:
    return problem in stub.GetServingStatus(api.GetServingStatusRequest()).canary.problem


def test_a_canary_file_that_cannot_be_used_changes_nothing(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """It is refused by name; a recommender that starts with it waits, because it cannot know whom to serve what."""
    releases = tmp_path / "releases"
    releases.mkdir()
    (folder,) = (checkerboard_artifacts / "releases").glob("[0-9]*")
    (releases / folder.name).symlink_to(folder)
    (releases / CANARY).write_text("{")
    status = api.GetServingStatusRequest()
    with (
        recommender(tmp_path, model_server_address, tmp_path / "log") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        stub = RecommenderServiceStub(channel)
        wait_for(lambda: CANARY in stub.GetServingStatus(status).waiting_for, "it waits for a file that can be used")
        assert health_status(address) == "NOT_SERVING"
        (releases / CANARY).unlink()
        wait_until_serving(address)
        for content, problem in UNUSABLE.items():
            (releases / CANARY).write_text(content)
            wait_for(partial(_is_told, stub, problem), f"the file is refused: {problem}")
            assert stub.Recommend(api.RecommendRequest(user_id=EVEN_USER)).release == int(folder.name)


def test_events_count_for_both_releases(replicas: Replicas) -> None:
    """What a user hid stays hidden for the stable release's users, although the canary was trained on it."""
    stable, stub = replicas.statuses()[0].release, replicas.stubs[0]
    record(stub, event(EVEN_USER, 4, HIDDEN))
    request = api.RecommendRequest(user_id=EVEN_USER, limit=3)
    before = movie_ids(undegraded(partial(stub.Recommend, request)))
    assert before == [6, 10, 12]
    canary = publish_checkerboard(replicas.artifacts, rotate_degrees=120, canary_share=0.5)
    replicas.wait_for(stable, canary, 0.5)
    for release in (stable, canary):
        request.release = release
        assert movie_ids(undegraded(partial(stub.Recommend, request))) == before
    record(stub, event(EVEN_USER, 4, REMOVED))


def test_a_canary_that_is_gone_is_served_to_nobody(replicas: Replicas) -> None:
    """If its release vanishes, the stable release serves all users, and calls that name it are answered for a while."""
    stable, stub = replicas.statuses()[0].release, replicas.stubs[0]
    canary = publish_checkerboard(replicas.artifacts, rotate_degrees=120, canary_share=1.0)
    replicas.wait_for(stable, canary, 1.0)
    (replicas.artifacts / "releases" / str(canary)).rename(replicas.artifacts / "elsewhere")
    replicas.wait_for(stable, 0, 1.0)
    assert stub.Recommend(api.RecommendRequest(user_id=EVEN_USER)).release == stable
    assert stub.Recommend(api.RecommendRequest(user_id=EVEN_USER, release=canary)).release == canary
    failure = failure_of(lambda: stub.Recommend(api.RecommendRequest(user_id=EVEN_USER, release=canary + 1)))
    assert failure.reason == "RELEASE_GONE"


def test_the_users_of_a_canary_are_a_stable_share() -> None:
    """A larger share holds the users of a smaller one; another release serves others."""
    users = {share: {u for u in range(10_000) if Canary(7, share).serves(str(u))} for share in (0.01, 0.05, 0.5, 1.0)}
    assert users[0.01] < users[0.05] < users[0.5] < users[1.0] == set(range(10_000))
    assert abs(len(users[0.05]) - 500) < 100
    others = {u for u in range(10_000) if Canary(8, 0.05).serves(str(u))}
    assert len(others & users[0.05]) < 60
