"""Events of users and movies that are known by text: stored under the keys, and seen nowhere else."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import grpc
import pytest

from events.event import number_of_key
from events.store import EventStore
from protos.recommender.v1.recommender_pb2 import (
    EVENT_KIND_HIDDEN,
    EVENT_KIND_RATED,
    EVENT_KIND_WATCHED,
    SOURCE_FOLDED_IN,
    Event,
    ListUserMoviesRequest,
    RecommendRequest,
    RecommendResponse,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import undegraded
from tests.support.events import events_status, record
from tests.support.metrics import Metrics
from tests.support.releases import EVEN_USER, ODD_USER, movie_key, publish_checkerboard, user_key
from tools.processes import Server, wait_for
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow

FAN = user_key(EVEN_USER)


class Service(NamedTuple):
    """A recommender of a release with text ids.  url: of its event store.  metrics: host:port."""

    server: Server
    stub: RecommenderServiceStub
    url: str
    metrics: str


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("keys")
    publish_checkerboard(folder, text_ids=True)
    url = f"sqlite:///{folder / 'events.db'}"
    settings = {"EVENTS_URL": url, "METRICS_ADDRESS": "127.0.0.1:0", "LOG_LEVEL": "DEBUG"}
    with (
        model_server(folder, folder / "models.log") as (_, models),
        recommender(folder, models, folder / "log", **settings) as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        stub = RecommenderServiceStub(channel)
        events_status(stub)
        yield Service(server, stub, url, str(server.events("listening")[0]["metrics"]))


def keys(response: RecommendResponse) -> set[str]:
    return {scored.movie.key for scored in response.movies}


def by_key(service: Service, key: str) -> RecommendResponse:
    request = RecommendRequest(user_key=key, limit=500)
    return undegraded(lambda: service.stub.Recommend(request, timeout=60))


def by_id(service: Service, user_id: int) -> RecommendResponse:
    request = RecommendRequest(user_id=user_id, limit=500)
    return undegraded(lambda: service.stub.Recommend(request, timeout=60))


def test_what_a_user_did_is_listed_by_key(service: Service) -> None:
    """Where ratings know users and movies by text, ListUserMovies takes the user's key, and names movies by key."""
    answer = service.stub.ListUserMovies(ListUserMoviesRequest(user_key=user_key(ODD_USER)), timeout=60)
    assert [(one.movie.key, one.liked) for one in answer.movies] == [(movie_key(1), True)]


def test_an_event_counts_by_key_and_by_id(service: Service) -> None:
    """User and movie may be named either way, in the event and in the question."""
    events = [
        Event(event_id="1", user_key=FAN, movie_key=movie_key(4), kind=EVENT_KIND_HIDDEN),
        Event(event_id="2", user_id=EVEN_USER, movie_id=6, kind=EVENT_KIND_HIDDEN),
    ]
    assert record(service.stub, *events).recorded == 2
    assert by_key(service, FAN) == by_id(service, EVEN_USER)
    assert {movie_key(4), movie_key(6)} & keys(by_key(service, FAN)) == set()
    repeated = Event(event_id="1", user_id=EVEN_USER, movie_id=4, kind=EVENT_KIND_HIDDEN)
    assert record(service.stub, repeated).duplicates == 1


def test_a_key_that_no_release_has_is_kept(service: Service) -> None:
    """A new user's events count at once; those of a new movie are stored under its key."""
    events = [
        Event(event_id="1", user_key="new@example", movie_key=movie_key(1), kind=EVENT_KIND_RATED, rating=5),
        Event(event_id="2", user_key="new@example", movie_key="not yet listed", kind=EVENT_KIND_WATCHED),
    ]
    assert record(service.stub, *events).recorded == 2
    response = by_key(service, "new@example")
    assert response.source == SOURCE_FOLDED_IN
    assert movie_key(1) not in keys(response)


def test_an_id_that_no_key_has_is_rejected(service: Service) -> None:
    """Numbers are given to keys by the trainer, so an unknown one is a mistake."""
    response = record(
        service.stub,
        Event(event_id="3", user_id=777, movie_id=4, kind=EVENT_KIND_WATCHED),
        Event(event_id="4", user_key=FAN, movie_id=777, kind=EVENT_KIND_WATCHED),
    )
    assert {r.field: r.reason for r in response.rejected} == {
        "user_id": "expected user_key, or the id of a user of the release; got 777",
        "movie_id": "expected movie_key, or the id of a movie of the release; got 777",
    }


def test_keys_reach_neither_the_log_nor_the_metrics(service: Service) -> None:
    """What is logged at DEBUG and what Prometheus reads names no user and no movie, be events good or bad."""
    secret = "secret-user@example"
    record(
        service.stub,
        Event(event_id="5", user_key=secret, movie_key="secret-movie", kind=EVENT_KIND_WATCHED),
        Event(event_id="", user_key=secret, movie_key="secret-movie", kind=EVENT_KIND_WATCHED),
        Event(event_id="6", user_key=secret + "\n", movie_key="secret-movie", kind=EVENT_KIND_WATCHED),
    )
    with urllib.request.urlopen(f"http://{service.metrics}/metrics", timeout=60) as answer:
        metrics = answer.read().decode()
    assert "secret" not in metrics + service.server.text()
    assert "example" not in metrics + service.server.text()
    assert float(re.findall(r'recommender_events_recorded_total{kind="watched"} (\S+)', metrics)[0]) >= 1
    assert 'recommender_events_rejected_total{field="event_id"} 1.0' in metrics
    assert 'recommender_events_rejected_total{field="user_key"} 1.0' in metrics
    assert re.search(r"recommender_held_events [1-9]", metrics)
    assert re.search(r"recommender_event_store_lag_seconds \d", metrics)
    wait_for(lambda: Metrics(service.metrics).sum("recommender_event_store_lag_seconds") < 1, "the store was just read")


def test_a_tombstone_holds_no_key(service: Service) -> None:
    """What stays of a forgotten user is a number."""
    record(service.stub, Event(event_id="1", user_key="gone@example", movie_key="x", kind=EVENT_KIND_WATCHED))
    store = EventStore(service.url)
    assert store.forget(number_of_key("gone@example")) == 1
    assert store.forgotten(0, store.last_number())[-1][1] == number_of_key("gone@example")
