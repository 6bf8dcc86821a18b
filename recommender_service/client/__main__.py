"""A command line for people: `python -m recommender_service.client recommend 418 -n 5`, `similar heat`, `search matrx`.

Movies may be given by id or by title: a title stands for what `search` puts first. `--json` is for scripts.

Exit status: 0 for an answer, 1 for an error, 2 for wrong usage, 3 if no recommender answers.
"""

from __future__ import annotations

import argparse
import sys

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from recommender_service.client.table import TITLE_WIDTH, format_table, movie_table, shorten

TIMEOUT_S = 10
OK, FAILED, NO_SERVER = 0, 1, 3
SOURCES = {
    api.SOURCE_PERSONALIZED: "personal recommendations",
    api.SOURCE_FOLDED_IN: "recommendations from the movies this user likes",
    api.SOURCE_POPULAR: "popular movies (nothing is known of this user's taste)",
}
SIMILARITY_SOURCES = {
    api.SIMILARITY_SOURCE_EMBEDDINGS: "",
    api.SIMILARITY_SOURCE_GENRES_AND_YEAR: " by genres and year (nobody has liked it yet)",
}


class _NotFound(Exception):
    """No title is near what was given; the message says so."""


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    arguments = _parse(argv)
    with grpc.insecure_channel(arguments.address) as channel:
        try:
            return int(arguments.run(channel, arguments))
        except _NotFound as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        except grpc.RpcError as error:
            message, status = _explain(error, arguments.address)
            print(f"error: {message}", file=sys.stderr)
            return status


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m recommender_service.client", description="Asks a recommender.")
    parser.add_argument("--address", default="localhost:50051", help="host:port (default: %(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    recommend = commands.add_parser("recommend", help="movies for a user, or for somebody who likes certain movies")
    recommend.add_argument("user_id", type=int, nargs="?", default=0, help="may be left out with --like")
    recommend.add_argument("--like", nargs="+", default=[], metavar="MOVIE", help="movies that the user likes")
    recommend.add_argument("--include-watched", action="store_true", help="also movies the user has rated")
    recommend.add_argument("--explain", action="store_true", help="which liked movies speak for each")
    recommend.set_defaults(run=_recommend)

    similar = commands.add_parser("similar", help="movies like a movie")
    similar.add_argument("movie", help="id or title")
    similar.set_defaults(run=_similar)
    for command in (recommend, similar):
        command.add_argument("--exclude", nargs="+", default=[], metavar="MOVIE", help="never these")
        command.add_argument("--genre", nargs="+", default=[], metavar="GENRE", help="only movies of one of these")
        command.add_argument("--exclude-genre", nargs="+", default=[], metavar="GENRE", help="none of these")
        command.add_argument("--from-year", type=int, default=0, metavar="YEAR", help="of this year or later")
        command.add_argument("--to-year", type=int, default=0, metavar="YEAR", help="of this year or earlier")

    search = commands.add_parser("search", help="movies by title")
    search.add_argument("query", nargs="+", help="words of the title, and the year if known")
    search.set_defaults(run=_search)
    for command in (recommend, similar, search):
        command.add_argument("-n", "--limit", type=int, default=10, help="how many (default: %(default)s)")

    status = commands.add_parser("status", help="what is served and why")
    status.set_defaults(run=_status)
    for command in (recommend, similar, search, status):
        command.add_argument("--json", action="store_true", help="the answer as JSON")
    commands.add_parser("health", help="exit status 0 if the service can answer").set_defaults(run=_health)
    return parser.parse_args(argv)


def _recommend(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    request = api.RecommendRequest(
        user_id=arguments.user_id,
        limit=arguments.limit,
        liked_movie_ids=[_movie_id(stub, movie) for movie in arguments.like],
        exclude_movie_ids=[_movie_id(stub, movie) for movie in arguments.exclude],
        include_watched=arguments.include_watched,
        filter=_filter(arguments),
        explain=arguments.explain,
    )
    response = stub.Recommend(request, timeout=TIMEOUT_S)
    if arguments.json:
        return _print_json(response)
    who = f"user {arguments.user_id}" if arguments.user_id else "somebody new"
    print(f"{who}: {SOURCES[response.source]}, release {response.release}")
    if response.degraded_reason:
        print(f"degraded: {response.degraded_reason}")
    if response.ignored_movie_ids:
        print(f"unknown to the release: {', '.join(map(str, response.ignored_movie_ids))}")
    print(movie_table(response.movies))
    return OK


def _similar(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
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
    print(f"like {response.movie.title}{SIMILARITY_SOURCES[response.source]}, release {response.release}")
    print(movie_table(response.movies))
    return OK


def _search(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    request = api.SearchMoviesRequest(query=" ".join(arguments.query), limit=arguments.limit)
    response = stub.SearchMovies(request, timeout=TIMEOUT_S)
    if arguments.json:
        return _print_json(response)
    rows = [[str(m.movie_id), shorten(m.title, TITLE_WIDTH), ", ".join(m.genres)] for m in response.movies]
    print(format_table(["movie", "title", "genres"], rows, right_aligned=(0,)) if rows else "no title is near that")
    return OK if rows else FAILED


def _status(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    status = stub.GetServingStatus(api.GetServingStatusRequest(), timeout=TIMEOUT_S)
    if arguments.json:
        return _print_json(status)
    if status.release:
        metrics = ", ".join(f"{name} {value:.3f}" for name, value in sorted(status.metrics.items()))
        print(f"active release  {status.release}, trained on {status.dataset}" + (f" ({metrics})" if metrics else ""))
    else:
        print(f"active release  none: waiting for {status.waiting_for}")
    models = status.model_server
    available = "AVAILABLE: " + (", ".join(map(str, models.available_versions)) or "nothing")
    print(f"model server    {models.address}, {available if models.reachable else models.error}")
    print(f"up for          {status.uptime_s:.0f} s")
    names = api.ReleaseState.Name
    rows = [[str(r.release), names(r.state).removeprefix("RELEASE_STATE_"), r.reason] for r in status.releases]
    if rows:
        print(format_table(["release", "state", "reason"], rows))
    return OK


def _health(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))
    return OK if response.status == health_pb2.HealthCheckResponse.SERVING else FAILED


def _movie_id(stub: recommender_pb2_grpc.RecommenderServiceStub, movie: str) -> int:
    """An id, or what the title is found to be, which is told on standard error.  Raises _NotFound."""
    if movie.removeprefix("-").isdecimal():
        return int(movie)
    found = stub.SearchMovies(api.SearchMoviesRequest(query=movie, limit=1), timeout=TIMEOUT_S).movies
    if not found:
        raise _NotFound(f"no title is near {movie!r}")
    print(f"{movie!r}: movie {found[0].movie_id}, {found[0].title}", file=sys.stderr)
    return found[0].movie_id


def _filter(arguments: argparse.Namespace) -> api.MovieFilter:
    return api.MovieFilter(
        genres=arguments.genre,
        exclude_genres=arguments.exclude_genre,
        min_year=arguments.from_year,
        max_year=arguments.to_year,
    )


def _print_json(message: Message) -> int:
    print(json_format.MessageToJson(message, preserving_proto_field_name=True, ensure_ascii=False))
    return OK


def _explain(error: grpc.RpcError, address: str) -> tuple[str, int]:
    """(one sentence, exit status)"""
    assert isinstance(error, grpc.Call)  # every error of a finished call is one
    status = rpc_status.from_call(error)
    if status is None and error.code() == grpc.StatusCode.UNAVAILABLE:
        start = "start one with `make serve`, or name another with --address"
        return f"no recommender answers at {address} ({start})", NO_SERVER
    problems = []
    for detail in status.details if status is not None else []:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            problems += [f"{v.field}: {v.description}" for v in bad_request.field_violations]
    return f"{error.code().name}: {'; '.join(problems) or error.details()}", FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
