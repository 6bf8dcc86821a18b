"""A command line for people: `python -m recommender_service.client recommend 418 -n 5`, `hide 418 heat`.

Movies may be given by id, key or title; a title stands for the movie that `search` lists first. Scripts use `--json`.

The exit status is 0 for an answer, 1 for an error, 2 for wrong usage, 3 if no recommender answers, and 130 after
Ctrl-C.
"""

from __future__ import annotations

import sys

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from console.output import FAILED, INTERRUPTED, guarded, print_error
from recommender_service.client.arguments import parse_arguments
from recommender_service.client.channel import Access, AccessError, connect
from recommender_service.client.commands import WrongArgument

WRONG_USAGE, NO_SERVER = 2, 3


def program() -> int:
    """Run what the process was started with, and return the exit status: the installed program."""
    return main(sys.argv[1:])


def main(argv: list[str]) -> int:
    """Run the command and return the exit status."""
    try:
        return guarded(lambda: _run(argv))
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    arguments = parse_arguments(argv)
    try:
        files = (arguments.tls_ca, arguments.tls_cert, arguments.tls_key, arguments.token_file)
        connected = connect(arguments.address, Access.from_files(*files))
    except AccessError as error:
        print_error(error)
        return WRONG_USAGE
    with connected as channel:
        try:
            return int(arguments.run(channel, arguments))
        except WrongArgument as error:
            print_error(error)
            return FAILED
        except grpc.RpcError as error:
            message, exit_status = _explain(error, arguments.address)
            print_error(message)
            return exit_status


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
    sys.exit(program())
