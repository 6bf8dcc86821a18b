"""A command line for people: `python -m recommender_service.client recommend 418 -n 5`, `similar 1`, `status`.

Exit status: 0 for an answer, 1 for an error or no server, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from recommender_service.table import format_table, shorten

TIMEOUT_S = 10
TITLE_WIDTH = 60
SOURCES = {
    api.SOURCE_PERSONALIZED: "personal recommendations",
    api.SOURCE_FOLDED_IN: "recommendations from the movies this user liked",
    api.SOURCE_POPULAR: "popular movies (nothing is known of this user's taste)",
}


def main(argv: list[str]) -> int:
    arguments = _parse(argv)
    with grpc.insecure_channel(arguments.address) as channel:
        try:
            return int(arguments.run(channel, arguments))
        except grpc.RpcError as error:
            print(f"error: {_explain(error, arguments.address)}", file=sys.stderr)
            return 1


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m recommender_service.client", description="Asks a recommender.")
    parser.add_argument("--address", default="localhost:50051", help="host:port (default: %(default)s)")
    commands = parser.add_subparsers(required=True)

    recommend = commands.add_parser("recommend", help="movies for a user")
    recommend.add_argument("user_id", type=int)
    recommend.add_argument("--include-watched", action="store_true", help="also movies the user has rated")
    recommend.set_defaults(run=_recommend)

    similar = commands.add_parser("similar", help="movies like a movie")
    similar.add_argument("movie_id", type=int)
    similar.set_defaults(run=_similar)
    for command in (recommend, similar):
        command.add_argument("-n", "--limit", type=int, default=10, help="how many (default: %(default)s)")
        command.add_argument("--exclude", type=int, nargs="+", default=[], metavar="MOVIE_ID", help="never these")

    commands.add_parser("status", help="what is served and why").set_defaults(run=_status)
    commands.add_parser("health", help="exit status 0 if the service can answer").set_defaults(run=_health)
    return parser.parse_args(argv)


def _recommend(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    request = api.RecommendRequest(
        user_id=arguments.user_id,
        limit=arguments.limit,
        exclude_movie_ids=arguments.exclude,
        include_watched=arguments.include_watched,
    )
    response = recommender_pb2_grpc.RecommenderServiceStub(channel).Recommend(request, timeout=TIMEOUT_S)
    print(f"user {arguments.user_id}: {SOURCES[response.source]}, release {response.release}")
    if response.degraded_reason:
        print(f"degraded: {response.degraded_reason}")
    if response.ignored_movie_ids:
        print(f"unknown to the release: {', '.join(map(str, response.ignored_movie_ids))}")
    print(movie_table(response.movies))
    return 0


def _similar(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    request = api.SimilarMoviesRequest(
        movie_id=arguments.movie_id, limit=arguments.limit, exclude_movie_ids=arguments.exclude
    )
    response = recommender_pb2_grpc.RecommenderServiceStub(channel).SimilarMovies(request, timeout=TIMEOUT_S)
    print(f"like {response.movie.title}, release {response.release}")
    print(movie_table(response.movies))
    return 0


def _status(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    status = stub.GetServingStatus(api.GetServingStatusRequest(), timeout=TIMEOUT_S)
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
    return 0


def _health(channel: grpc.Channel, arguments: argparse.Namespace) -> int:
    response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))
    return 0 if response.status == health_pb2.HealthCheckResponse.SERVING else 1


def movie_table(movies: Iterable[api.ScoredMovie]) -> str:
    """Rank, score, id, title and genres, one movie per line."""
    rows = [
        [
            str(rank),
            f"{scored.score:.3f}",
            str(scored.movie.movie_id),
            shorten(scored.movie.title, TITLE_WIDTH),
            ", ".join(scored.movie.genres),
        ]
        for rank, scored in enumerate(movies, start=1)
    ]
    if not rows:
        return "no movies qualify"
    return format_table(["#", "score", "movie", "title", "genres"], rows, right_aligned=(0, 1, 2))


def _explain(error: grpc.RpcError, address: str) -> str:
    assert isinstance(error, grpc.Call)  # every error of a finished call is one
    status = rpc_status.from_call(error)
    if status is None and error.code() == grpc.StatusCode.UNAVAILABLE:
        return f"no recommender answers at {address} (start one with `make serve`, or name another with --address)"
    problems = []
    for detail in status.details if status is not None else []:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            problems += [f"{v.field}: {v.description}" for v in bad_request.field_violations]
    return f"{error.code().name}: {'; '.join(problems) or error.details()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
