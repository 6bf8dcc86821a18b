"""A command line for people: `python -m recommender_service.client recommend 418 -n 5`, `hide 418 heat`.

Movies may be given by id, key or title; a title stands for the movie that `search` lists first. Scripts use `--json`.

The exit status is 0 for an answer, 1 for an error, 2 for wrong usage, and 3 if no recommender answers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.client import commands
from recommender_service.client.channel import TOKEN_VARIABLE, Access, AccessError, connect
from recommender_service.client.commands import FAILED, NoSuchTitle

WRONG_USAGE, NO_SERVER = 2, 3
EVENT_COMMANDS = (
    ("watch", api.EVENT_KIND_WATCHED, "record that a user watched a movie"),
    ("rate", api.EVENT_KIND_RATED, "record a user's rating of a movie"),
    ("hide", api.EVENT_KIND_HIDDEN, "never recommend a movie to a user again"),
    ("remove", api.EVENT_KIND_REMOVED, "undo whatever is known of a user and a movie"),
)


def main(argv: list[str]) -> int:
    """Run the command and return the exit status."""
    arguments = _parse(argv)
    try:
        files = (arguments.tls_ca, arguments.tls_cert, arguments.tls_key, arguments.token_file)
        connected = connect(arguments.address, Access.from_files(*files))
    except AccessError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_USAGE
    with connected as channel:
        try:
            return int(arguments.run(channel, arguments))
        except NoSuchTitle as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        except grpc.RpcError as error:
            message, exit_status = _explain(error, arguments.address)
            print(f"error: {message}", file=sys.stderr)
            return exit_status


def _parse(argv: list[str]) -> argparse.Namespace:
    """Parse the arguments; the result's `run` is the command's function. Exits with 2 if they are wrong."""
    parser = argparse.ArgumentParser(prog="python -m recommender_service.client", description="Asks a recommender.")
    parser.add_argument("--address", default="localhost:50051", help="host:port (default: %(default)s)")
    parser.add_argument("--tls-ca", type=Path, metavar="PEM", help="authority of the service; without it, plaintext")
    parser.add_argument("--tls-cert", type=Path, metavar="PEM", help="certificate to show, if the service asks for one")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="private key of that certificate")
    parser.add_argument("--token-file", type=Path, help=f"file with a token (default: the variable {TOKEN_VARIABLE})")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    recommend = subparsers.add_parser("recommend", help="movies for a user, or for somebody who likes certain movies")
    recommend.add_argument("user", nargs="?", help="id or key; may be left out with --like")
    recommend.add_argument("--like", nargs="+", default=[], metavar="MOVIE", help="movies that the user likes")
    recommend.add_argument("--include-watched", action="store_true", help="also list movies the user has rated")
    recommend.add_argument("--explain", action="store_true", help="show which liked movies are nearest to each")
    recommend.set_defaults(run=commands.recommend)

    similar = subparsers.add_parser("similar", help="movies like a movie")
    similar.add_argument("movie", help="id, key or title")
    similar.set_defaults(run=commands.similar)
    for command in (recommend, similar):
        command.add_argument("--exclude", nargs="+", default=[], metavar="MOVIE", help="leave these movies out")
        command.add_argument("--genre", nargs="+", default=[], metavar="GENRE", help="only movies of any of these")
        command.add_argument("--exclude-genre", nargs="+", default=[], metavar="GENRE", help="no movies of these")
        command.add_argument("--from-year", type=_int32, default=0, metavar="YEAR", help="only movies since this year")
        command.add_argument("--to-year", type=_int32, default=0, metavar="YEAR", help="only movies until this year")

    search = subparsers.add_parser("search", help="movies by title")
    search.add_argument("query", nargs="+", help="words of the title, and the year if known")
    search.set_defaults(run=commands.search)
    for command in (recommend, similar, search):
        command.add_argument("-n", "--limit", type=_int32, default=10, help="how many (default: %(default)s)")

    recorders = [_event_command(subparsers.add_parser(name, help=what), kind) for name, kind, what in EVENT_COMMANDS]
    status = subparsers.add_parser("status", help="what is served and why")
    status.set_defaults(run=commands.status)
    for command in (recommend, similar, search, status, *recorders):
        command.add_argument("--json", action="store_true", help="print the answer as JSON")
    health = subparsers.add_parser("health", help="exit with status 0 if the service can answer")
    health.set_defaults(run=commands.health)
    return parser.parse_args(argv)


def _event_command(parser: argparse.ArgumentParser, kind: api.EventKind) -> argparse.ArgumentParser:
    """Let the parser of a command record events of this kind."""
    parser.add_argument("user", help="id or key")
    parser.add_argument("movie", help="id, key or title")
    if kind == api.EVENT_KIND_RATED:
        parser.add_argument("rating", type=float, help="on the scale of the release's ratings")
    parser.set_defaults(run=commands.record, kind=kind)
    return parser


def _int32(text: str) -> int:
    number = int(text)
    if not -(2**31) <= number < 2**31:
        raise argparse.ArgumentTypeError(f"expected a number of at most 32 bits, got {text[:40]}")
    return number


def _explain(error: grpc.RpcError, address: str) -> tuple[str, int]:
    """Return (one sentence about the error of a call, exit status)."""
    assert isinstance(error, grpc.Call)  # every error of a finished call is one
    status = rpc_status.from_call(error)
    if status is None and error.code() == grpc.StatusCode.UNAVAILABLE:
        start = "start one with `make serve`, or name another with --address"
        return f"no recommender answers at {address} ({start}): {error.details()}", NO_SERVER
    problems = []
    for detail in status.details if status is not None else []:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            problems += [f"{v.field}: {v.description}" for v in bad_request.field_violations]
    return f"{error.code().name}: {'; '.join(problems) or error.details()}", FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
