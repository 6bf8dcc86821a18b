"""The commands of the client. Each calls one RPC, prints the answer and returns the exit status."""

from __future__ import annotations

import argparse
import re
import sys
import uuid
from typing import Any, TextIO

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from console.output import FAILED, print_error, visible
from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from recommender_service.client.table import movie_table, release_table, title_table

TIMEOUT_S = 10
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)")  # as ids are written: a key may have leading zeros
MIN_ID, MAX_ID = -(2**63), 2**63 - 1  # of the field; the service refuses those below 0
MAX_DIGITS = 20
TITLE = "title:"  # before a movie that is given by its title, although that may look like an id
OK = 0
SOURCES = {
    api.SOURCE_PERSONALIZED: "personal recommendations",
    api.SOURCE_FOLDED_IN: "recommendations from the movies this user likes",
    api.SOURCE_POPULAR: "popular movies (nothing is known of this user's taste)",
}
SIMILARITY_SOURCES = {
    api.SIMILARITY_SOURCE_EMBEDDINGS: "",
    api.SIMILARITY_SOURCE_GENRES_AND_YEAR: " by genres, year and title (nobody has liked it yet)",
}


class WrongArgument(Exception):
    """A user or a movie was given that cannot be asked for. The message says why, and names it."""


def recommend(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    request = api.RecommendRequest(
        **_user(stub, arguments.user),
        limit=arguments.limit,
        liked_movie_ids=[_movie_id(stub, movie) for movie in arguments.like],
        liked_in_order=arguments.liked_in_order,
        exclude_movie_ids=[_movie_id(stub, movie) for movie in arguments.exclude],
        include_watched=arguments.include_watched,
        filter=_filter(arguments),
        explain=arguments.explain,
    )
    response = stub.Recommend(request, timeout=TIMEOUT_S)
    if arguments.json:
        return _print_json(response)
    who = f"user {arguments.user}" if arguments.user is not None else "somebody new"
    _say(f"{who}: {SOURCES[response.source]}, release {response.release}")
    if response.degraded_reason:
        _say(f"degraded: {response.degraded_reason}")
    ignored = [*map(str, response.ignored_movie_ids), *response.ignored_movie_keys]
    if ignored:
        _say(f"unknown to the release: {', '.join(ignored)}")
    print(movie_table(response.movies))
    return OK


def similar(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    request = api.SimilarMoviesRequest(
        movie_id=_movie_id(stub, arguments.movie),
        limit=arguments.limit,
        exclude_movie_ids=[_movie_id(stub, movie) for movie in arguments.exclude],
        filter=_filter(arguments),
    )
    response = stub.SimilarMovies(request, timeout=TIMEOUT_S)
    if arguments.json:
        return _print_json(response)
    _say(f"like {response.movie.title}{SIMILARITY_SOURCES[response.source]}, release {response.release}")
    print(movie_table(response.movies))
    return OK


def search(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    request = api.SearchMoviesRequest(query=" ".join(arguments.query), limit=arguments.limit)
    response = stub.SearchMovies(request, timeout=TIMEOUT_S)
    if arguments.json:
        return _print_json(response)
    if not response.movies:
        print("no title is near that")
        return FAILED
    print(title_table(response.movies))
    return OK


def record(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    """Record one event, of the kind that `arguments.kind` names."""
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    event = api.Event(
        event_id=str(uuid.uuid4()),
        **_user(stub, arguments.user),
        movie_id=_movie_id(stub, arguments.movie),
        kind=arguments.kind,
        rating=arguments.rating if arguments.kind == api.EVENT_KIND_RATED else None,
    )
    response = stub.RecordEvents(api.RecordEventsRequest(events=[event]), timeout=TIMEOUT_S)
    if arguments.json:
        return _print_json(response)
    for rejected in response.rejected:
        print_error(f"{rejected.field}: {rejected.reason}")
    if response.recorded:
        print("recorded")
    return OK if response.recorded else FAILED


def status(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    answer = stub.GetServingStatus(api.GetServingStatusRequest(), timeout=TIMEOUT_S)
    if arguments.json:
        return _print_json(answer)
    if answer.release:
        metrics = ", ".join(f"{name} {value:.3f}" for name, value in sorted(answer.metrics.items()))
        _say(f"active release  {answer.release}, trained on {answer.dataset}" + (f" ({metrics})" if metrics else ""))
    else:
        print(f"active release  none: waiting for {answer.waiting_for}")
    if answer.HasField("canary"):
        canary = answer.canary
        serves = f"serves {100 * canary.share:g}% of the users" if canary.running else "serves nobody"
        print(f"canary          {canary.release}, {serves}" + (f"; {canary.problem}" if canary.problem else ""))
    model_server = answer.model_server
    available = "AVAILABLE: " + (", ".join(map(str, model_server.available_versions)) or "nothing")
    _say(f"model server    {model_server.address}, {available if model_server.reachable else model_server.error}")
    if answer.HasField("events"):
        events = answer.events
        _say(f"events          {events.held_events:,} newer than the release; {events.problem or 'the store is read'}")
    print(f"up for          {answer.uptime.ToTimedelta().total_seconds():.0f} s")
    if answer.releases:
        print(release_table(answer.releases))
    return OK


def health(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))
    return OK if response.status == health_pb2.HealthCheckResponse.SERVING else FAILED


def _user(stub: recommender_pb2_grpc.RecommenderServiceStub, user: str | None) -> dict[str, Any]:
    """The fields of a request that name a user, who is given by id or key; none for nobody. Raises WrongArgument."""
    if user is None:
        return {}
    if NUMBER.fullmatch(user) and not _status(stub).users_have_keys:
        return {"user_id": _id("user", user)}
    return {"user_key": user}


def _id(what: str, number: str) -> int:
    """The id that the text of a number is. Raises WrongArgument if it is too large."""
    if len(number) > MAX_DIGITS or not MIN_ID <= int(number) <= MAX_ID:
        raise WrongArgument(f"{what}: expected an id from 0 to {MAX_ID:,}, got {number[:40]}")
    return int(number)


def _status(stub: recommender_pb2_grpc.RecommenderServiceStub) -> api.GetServingStatusResponse:
    return stub.GetServingStatus(api.GetServingStatusRequest(), timeout=TIMEOUT_S)


def _movie_id(stub: recommender_pb2_grpc.RecommenderServiceStub, movie: str) -> int:
    """The id of a movie that is given by id, key or title; the movie found by a search is named on standard error.

    Raises WrongArgument.
    """
    if NUMBER.fullmatch(movie) and not _status(stub).movies_have_keys:
        return _id("movie", movie)
    query = movie.removeprefix(TITLE)
    found = stub.SearchMovies(api.SearchMoviesRequest(query=query, limit=1), timeout=TIMEOUT_S).movies
    if not found:
        raise WrongArgument(f"no title is near {query[:40]!r}")
    _say(f"{query!r}: movie {found[0].key or found[0].movie_id}, {found[0].title}", file=sys.stderr)
    return found[0].movie_id


def _filter(arguments: argparse.Namespace) -> api.MovieFilter:
    return api.MovieFilter(
        genres=arguments.genre,
        exclude_genres=arguments.exclude_genre,
        min_year=arguments.from_year,
        max_year=arguments.to_year,
    )


def _print_json(message: Message) -> int:
    # In ASCII, any terminal shows it as it is, and obeys none of it.
    print(json_format.MessageToJson(message, preserving_proto_field_name=True, ensure_ascii=True))
    return OK


def _say(line: str, file: TextIO | None = None) -> None:
    """Print one line, which may hold texts of the service.  file: standard output if it is None."""
    print(visible(line), file=file)
