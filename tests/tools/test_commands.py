"""The commands that pages show could run as they stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_check import Impossible, check
from tests.support.listings import commands, listings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
DEFINITIONS = ("call()", "client=")  # of a function and of a variable, which the commands after them use
OF_OTHERS = ("kind load", "pre-commit install")  # programs that a reader has installed for this


def in_full(command: str) -> str:
    """The command with what `call` and `$client` stand for."""
    if command.startswith("call "):
        _, method, request = command.split(" ", 2)
        return f"grpcurl -d {request} localhost:50051 recommender.v1.RecommenderService/{method}"
    return command.replace("$client", ".venv/bin/python -m recommender_service.client")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_pages_could_run(page: Path) -> None:
    """Programs, flags, variables, files, make targets, services and fields of requests exist."""
    for listing in listings(page):
        for command in commands(listing) if listing.language == "sh" else ():
            if not command.startswith((*DEFINITIONS, *OF_OTHERS)):
                try:
                    check(in_full(command))
                except Impossible as error:
                    raise AssertionError(f"{page.name}:{listing.line}: {command}: {error}") from error


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("make brew", "no brew"),
        (".venv/bin/python -m trainer --speed 3", "does not take --speed 3"),
        ("WORKER=2 .venv/bin/python -m recommender_service", "no such variable: WORKER"),
        (".venv/bin/python -m recommender_service --port 1", "takes no arguments, got --port 1"),
        ("grpcurl -d '{\"user\": 4}' localhost:50051 recommender.v1.RecommenderService/Recommend", '"user"'),
        ("grpcurl localhost:50051 recommender.v1.RecommenderService/Guess", "no Guess"),
        ("docker-compose logs recomender", "no service recomender"),
        ("docker-compose run --rm trainer releases undo", "does not take"),
        ("docker-compose --profile night up", "no profile night"),
        ("kubectl rollout status deployment/recomender", "no deployment recomender"),
        ("kubectl apply --kustomize deploy/k8s/overlays/moon", "there is no deploy/k8s/overlays/moon"),
        ("ls | brew tea", "unknown program"),
    ],
)
def test_impossible_commands_are_found(command: str, complaint: str) -> None:
    """The check says what a command names that is not there."""
    with pytest.raises(Impossible, match=complaint):
        check(command)
