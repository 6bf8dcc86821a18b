"""The client's flags and commands."""

from __future__ import annotations

import argparse
from typing import Any

from console.flags import add_completion, add_path, add_version
from console.values import text, whole_number
from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.client import commands
from recommender_service.client.channel import TOKEN_VARIABLE

COMMAND = "recommender-client"  # the program's name once the package is installed
MOVIE = "id, key or title; title:300 is the title 300, and 300 an id"
EVENT_COMMANDS = (
    ("watch", api.EVENT_KIND_WATCHED, "record that a user watched a movie"),
    ("rate", api.EVENT_KIND_RATED, "record a user's rating of a movie"),
    ("hide", api.EVENT_KIND_HIDDEN, "never recommend a movie to a user again"),
    ("remove", api.EVENT_KIND_REMOVED, "undo whatever is known of a user and a movie"),
)


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the arguments; the result's `run` is the command's function. Exits with 2 if they are wrong."""
    parser = argparse.ArgumentParser(prog="python -m recommender_service.client", description="Asks a recommender.")
    add_version(parser)
    add_completion(parser, COMMAND)
    parser.add_argument("--address", default="localhost:50051", help="host:port (default: %(default)s)")
    add_path(parser, "--tls-ca", metavar="PEM", help="authority of the service; without it, plaintext")
    add_path(parser, "--tls-cert", metavar="PEM", help="certificate to show, if the service asks for one")
    add_path(parser, "--tls-key", metavar="PEM", help="private key of that certificate")
    add_path(parser, "--token-file", help=f"file with a token (default: the variable {TOKEN_VARIABLE})")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    recommend = subparsers.add_parser("recommend", help="movies for a user, or for somebody who likes certain movies")
    similar = subparsers.add_parser("similar", help="movies like a movie")
    search = subparsers.add_parser("search", help="movies by title")
    _add_lists(recommend, similar, search)
    recorders = [_event_command(subparsers.add_parser(name, help=what), kind) for name, kind, what in EVENT_COMMANDS]
    status = subparsers.add_parser("status", help="what is served and why")
    status.set_defaults(run=commands.status)
    for command in (recommend, similar, search, status, *recorders):
        command.add_argument("--json", action="store_true", help="print the answer as JSON")
    health = subparsers.add_parser("health", help="exit with status 0 if the service can answer")
    health.set_defaults(run=commands.health)
    return parser.parse_args(argv)


def _add_lists(
    recommend: argparse.ArgumentParser, similar: argparse.ArgumentParser, search: argparse.ArgumentParser
) -> None:
    """Let these parsers ask for lists of movies."""
    recommend.add_argument("user", nargs="?", type=text, help="id or key; may be left out with --like")
    _add_repeated(recommend, "--like", "MOVIE", "a movie that the user likes")
    recommend.add_argument(
        "--liked-in-order", action="store_true", help="the movies of --like are in the order of liking, the latest last"
    )
    recommend.add_argument("--include-watched", action="store_true", help="also list movies the user has rated")
    recommend.add_argument("--explain", action="store_true", help="show which liked movies are nearest to each")
    recommend.set_defaults(run=commands.recommend)

    similar.add_argument("movie", type=text, help=MOVIE)
    similar.set_defaults(run=commands.similar)
    year = whole_number(0)  # the service says which of them it takes
    for command in (recommend, similar):
        _add_repeated(command, "--exclude", "MOVIE", "leave this movie out")
        _add_repeated(command, "--genre", "GENRE", "only movies of this genre or of others that are given")
        _add_repeated(command, "--exclude-genre", "GENRE", "no movies of this genre")
        command.add_argument("--from-year", type=year, default=0, metavar="YEAR", help="only movies since this year")
        command.add_argument("--to-year", type=year, default=0, metavar="YEAR", help="only movies until this year")

    search.add_argument("query", nargs="+", type=text, help="words of the title, and the year if known")
    search.set_defaults(run=commands.search)
    for command in (recommend, similar, search):
        limit: dict[str, Any] = {"type": whole_number(0), "default": 10}
        command.add_argument("-n", "--limit", **limit, help="how many (default: %(default)s)")


def _add_repeated(parser: argparse.ArgumentParser, name: str, what: str, meaning: str) -> None:
    """Add a flag that takes one value each time that it is given. If it took several, it would take the user, too."""
    parser.add_argument(
        name, action="append", type=text, default=[], metavar=what, help=f"{meaning}; may be given several times"
    )


def _event_command(parser: argparse.ArgumentParser, kind: api.EventKind) -> argparse.ArgumentParser:
    """Let the parser of a command record events of this kind."""
    parser.add_argument("user", type=text, help="id or key")
    parser.add_argument("movie", type=text, help=MOVIE)
    if kind == api.EVENT_KIND_RATED:
        parser.add_argument("rating", type=float, help="on the scale of the release's ratings")
    parser.set_defaults(run=commands.record, kind=kind)
    return parser
