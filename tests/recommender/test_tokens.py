"""Bearer tokens: which calls they are good for, and a file of them that changes while the service runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2

from protos.recommender.v1 import recommender_pb2 as api
from tests.support.access import OTHER_TOKEN, TOKEN, bearer, token_line, write
from tests.support.errors import Failure, failure_of
from tests.support.releases import EVEN_USER
from tools.processes import Server, wait_for
from tools.servers import health_status, recommender, wait_until_serving

pytestmark = pytest.mark.slow

SERVICE = "recommender.v1.RecommenderService"
REQUESTS: dict[str, Message] = {
    "Recommend": api.RecommendRequest(user_id=EVEN_USER),
    "BatchRecommend": api.BatchRecommendRequest(requests=[api.RecommendRequest(user_id=EVEN_USER)]),
    "SimilarMovies": api.SimilarMoviesRequest(movie_id=2),
    "SearchMovies": api.SearchMoviesRequest(query="amelie"),
    "ListGenres": api.ListGenresRequest(),
    "ListUserMovies": api.ListUserMoviesRequest(user_id=EVEN_USER),
    "GetServingStatus": api.GetServingStatusRequest(),
    "ListReleases": api.ListReleasesRequest(),
}


@pytest.fixture
def service(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> Iterator[tuple[Server, str, Path]]:
    """(server, address, file of tokens) of a service that TOKEN may ask for everything, and OTHER_TOKEN for little."""
    path = tmp_path / "tokens"
    path.write_text("# callers\n\n" + token_line("web", TOKEN) + token_line("mail", OTHER_TOKEN, "Recommend"))
    settings = {"TOKEN_FILE": str(path), "LOG_LEVEL": "DEBUG"}
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (server, address):
        wait_until_serving(address)
        yield server, address, path


def call(address: str, method: str, metadata: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The encoded answer."""
    with grpc.insecure_channel(address) as channel:
        rpc: Any = channel.unary_unary(f"/{SERVICE}/{method}")
        return bytes(rpc(REQUESTS[method].SerializeToString(), metadata=metadata, timeout=60))


def failure(address: str, method: str, metadata: tuple[tuple[str, str], ...] = ()) -> Failure:
    return failure_of(lambda: call(address, method, metadata))


def reflect(address: str, metadata: tuple[tuple[str, str], ...] = ()) -> list[str]:
    """The names of the services."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(address) as channel:
        rpc: Any = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        (content,) = rpc(iter([request.SerializeToString()]), metadata=metadata, timeout=60)
        answer = reflection_pb2.ServerReflectionResponse.FromString(content)
        return [service.name for service in answer.list_services_response.service]


def test_every_rpc_needs_a_token_that_is_good_for_it(service: tuple[Server, str, Path]) -> None:
    """Without a token, or with a wrong one, a call is UNAUTHENTICATED; with one for other RPCs PERMISSION_DENIED."""
    server, address, _ = service
    for method in REQUESTS:
        missing, unknown = failure(address, method), failure(address, method, bearer("x" * 64))
        assert (missing.code, missing.reason) == ("UNAUTHENTICATED", "MISSING_TOKEN")
        assert (unknown.code, unknown.reason) == ("UNAUTHENTICATED", "UNKNOWN_TOKEN")
        assert call(address, method, bearer(TOKEN))
        if method == "Recommend":
            assert call(address, method, bearer(OTHER_TOKEN))
        else:
            denied = failure(address, method, bearer(OTHER_TOKEN))
            assert (denied.code, denied.reason) == ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")
            assert denied.metadata == {"caller": "mail", "method": method}
    assert TOKEN not in server.text()
    assert OTHER_TOKEN not in server.text()


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", TOKEN),),
        (("authorization", f"Basic {TOKEN}"),),
        (("authorization", "Bearer "),),
        (("authorization", "Bearer"),),
        (*bearer(TOKEN), *bearer(TOKEN)),
        (("authorization-bin", b"Bearer"),),
    ],
)
def test_a_header_that_is_no_token_is_refused(
    service: tuple[Server, str, Path], metadata: tuple[tuple[str, str], ...]
) -> None:
    """The header must be there once, with the scheme Bearer."""
    assert failure(service[1], "Recommend", metadata).code == "UNAUTHENTICATED"


def test_the_scheme_may_be_written_in_any_case(service: tuple[Server, str, Path]) -> None:
    """`bearer` and `BEARER` mean the same (RFC 7235)."""
    assert call(service[1], "Recommend", (("authorization", f"bEARER {TOKEN}"),))


def test_reflection_needs_a_token_and_health_none(service: tuple[Server, str, Path]) -> None:
    """Reflection needs a token that is good for it. Health is answered to everybody, for load balancers."""
    _, address, _ = service
    assert health_status(address) == "SERVING"
    assert failure_of(lambda: reflect(address)).code == "UNAUTHENTICATED"
    assert failure_of(lambda: reflect(address, bearer(OTHER_TOKEN))).code == "PERMISSION_DENIED"
    assert SERVICE in reflect(address, bearer(TOKEN))


def test_a_withdrawn_token_is_refused_and_a_new_one_taken(service: tuple[Server, str, Path]) -> None:
    """Two tokens of a caller are good while both have a line. A token whose line is removed is refused in seconds."""
    server, address, path = service
    new = "new-token" * 4
    write(path, (token_line("web", TOKEN) + token_line("web", new)).encode())
    wait_for(lambda: server.events("credentials reloaded"), "the file is read")
    assert call(address, "SearchMovies", bearer(TOKEN))
    assert call(address, "SearchMovies", bearer(new))
    write(path, token_line("web", new).encode())
    wait_for(lambda: len(server.events("credentials reloaded")) == 2, "the file is read again")
    assert failure(address, "SearchMovies", bearer(TOKEN)).reason == "UNKNOWN_TOKEN"
    assert call(address, "SearchMovies", bearer(new))


def test_a_malformed_new_file_changes_nothing(service: tuple[Server, str, Path]) -> None:
    """The tokens from before stay valid. The log names the line, once, and not what stands there."""
    server, address, path = service
    write(path, (token_line("web", OTHER_TOKEN) + f"web {TOKEN}\n").encode())
    wait_for(lambda: server.events("credentials refused"), "the file is refused")
    assert call(address, "SearchMovies", bearer(TOKEN))
    path.unlink()
    wait_for(lambda: len(server.events("credentials refused")) == 2, "the missing file is refused")
    assert call(address, "SearchMovies", bearer(TOKEN))
    first, second = server.events("credentials refused")
    assert str(first["reason"]).startswith(f"{path}:2: expected a caller, the SHA-256 of a token, and RPCs")
    assert "No such file" in str(second["reason"])
    assert TOKEN not in server.text()


def test_refused_callers_are_logged_with_their_address(service: tuple[Server, str, Path]) -> None:
    """Calls without a token are logged at most once a second, with their number and whence they came."""
    server, address, _ = service
    before, started = len(server.events("not authorized")), time.monotonic()
    for _ in range(20):
        assert failure(address, "Recommend").code == "UNAUTHENTICATED"
    seconds = time.monotonic() - started
    lines = server.events("not authorized")
    assert len(lines) >= 1
    assert len(lines) - before <= 2 + seconds
    assert str(lines[0]["peer"]).startswith("ipv4:127.0.0.1:")


def test_without_tls_the_log_warns_of_tokens_in_plaintext(service: tuple[Server, str, Path]) -> None:
    """Tokens without TLS are for a service behind a proxy, which the log says at the start."""
    assert len(service[0].events("tokens in plaintext")) == 1


def test_reflection_can_be_turned_off(checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path) -> None:
    """With REFLECTION=false nobody learns the API from the service; calls are answered as ever."""
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", REFLECTION="false") as (
        _,
        address,
    ):
        wait_until_serving(address)
        assert failure_of(lambda: reflect(address)).code == "UNIMPLEMENTED"
        assert call(address, "Recommend")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file or directory"),
        ("# nobody\n", "expected at least one line with a caller"),
        (token_line("web", TOKEN) + "web\n", ":2: expected a caller, the SHA-256 of a token, and RPCs; got 1 of"),
        (f"web {TOKEN[:40]} *\n", ":1: expected the SHA-256 of a token, 64 hexadecimal digits; got 40 characters"),
        (token_line("web", TOKEN, "Recommend,Delete"), ":1: expected RPCs, which are *, or names among"),
        (token_line("web", TOKEN) + token_line("mail", TOKEN), ":2: expected a token on one line only"),
        (token_line("w€b", TOKEN), ":1: expected a caller of at most 64 letters"),
    ],
)
def test_a_malformed_file_stops_the_start(tmp_path: Path, content: str | None, complaint: str) -> None:
    """One line names the variable, the file and its line, and no token. The exit status is 2."""
    path = tmp_path / "tokens"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "recommender_service"],
        env={"PATH": "", "TOKEN_FILE": str(path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: TOKEN_FILE: expected a file with tokens")
    assert complaint in line
    assert TOKEN[:40] not in line
