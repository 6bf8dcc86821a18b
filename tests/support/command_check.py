"""Whether a command that a page shows could run: its programs, flags, variables, files, targets and fields exist."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from unittest.mock import patch

import yaml
from google.protobuf import json_format, message_factory

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.settings import Settings
from serving.stand_in.flags import parse_flags
from tests.support.listings import simple_commands
from tools.reference import PROGRAMS, parser_of
from trainer.cli.arguments import parse_arguments
from web.settings import Settings as PageSettings

ROOT = Path(__file__).resolve().parents[2]
SERVICE = api.DESCRIPTOR.services_by_name["RecommenderService"]
OF_TRAINERS_AND_TESTS = {"SIGNING_KEY_FILE", "MOVIELENS_DIR", "TF_SERVING_ARTIFACTS", "TF_CONFIG", "SOAK_SECONDS"}
VARIABLES = OF_TRAINERS_AND_TESTS | {
    field.name.upper() for settings in (Settings, PageSettings) for field in fields(settings)
}
INSTALLED = {
    "recommender-trainer": "trainer",
    "recommender-client": "recommender_service.client",
    "recommender-events": "events",
}
PLAIN = {
    "cat",
    "curl",
    "cut",
    "echo",
    "head",
    "mkdir",
    "openssl",
    "pip",
    "python3",
    "sha256sum",
    "source",
    "sqlite3",
    "tr",
    "umask",
}
WITHOUT_ARGUMENTS = ("recommender_service", "web")


class Impossible(Exception):
    """The command cannot run; the message says why."""


def check(command: str) -> None:
    """Raise Impossible if the command cannot run."""
    for words in simple_commands(command):
        variables: dict[str, str] = {}
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        unknown = variables.keys() - VARIABLES
        if unknown:
            raise Impossible(f"no such variable: {', '.join(unknown)}")
        if words and words[0] not in PLAIN:
            with patch.dict(os.environ, variables):
                _check_of(words[0])(words)


def _check_of(program: str) -> Callable[[list[str]], None]:
    checks = {
        "make": _make,
        ".venv/bin/python": _python,
        "grpcurl": _grpcurl,
        "docker": _files,
        "docker-compose": _compose,
        "kubectl": _kubectl,
        **dict.fromkeys(INSTALLED, _installed),
    }
    if program not in checks:
        raise Impossible(f"unknown program {program}")
    return checks[program]


def _make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words[1:]:
        name, equals, _ = word.partition("=")
        if not re.search(rf"\$\({name}\)" if equals else rf"^{name}:", makefile, re.MULTILINE):
            raise Impossible(f"the Makefile has no {name}")


def _python(words: list[str]) -> None:
    _, _, module, *arguments = words
    try:
        if module == "trainer":
            parse_arguments(arguments)
        elif module == "serving":
            _, complaints = parse_flags(arguments)
            if complaints:
                raise Impossible("; ".join(complaints))
        elif module == "pytest":
            _files(words)
        elif module == "events" and "EVENTS_URL" in os.environ:
            _parsers()[module].parse_args(["--url", os.environ["EVENTS_URL"], *arguments])
        elif module not in WITHOUT_ARGUMENTS or arguments:
            _parsers()[module].parse_args(arguments)
    except SystemExit as error:
        if not error.code:  # a flag that prints something and ends, as --version does
            return
        raise Impossible(f"{module} does not take {' '.join(arguments)}") from error
    except KeyError as error:
        raise Impossible(f"{module} takes no arguments, got {' '.join(arguments)}") from error


@cache
def _parsers() -> dict[str, argparse.ArgumentParser]:
    """The parsers of programs, by the names of their modules."""
    return {parser.prog.removeprefix("python -m "): parser for parser in map(parser_of, PROGRAMS)}


def _installed(words: list[str]) -> None:
    _python([".venv/bin/python", "-m", INSTALLED[words[0]], *words[1:]])


def _grpcurl(words: list[str]) -> None:
    service, _, method = words[-1].rpartition("/")
    if service != SERVICE.full_name:
        return
    if method not in SERVICE.methods_by_name:
        raise Impossible(f"{service} has no {method}")
    request = message_factory.GetMessageClass(SERVICE.methods_by_name[method].input_type)()
    try:
        json_format.Parse(words[words.index("-d") + 1] if "-d" in words else "{}", request)
    except json_format.ParseError as error:
        raise Impossible(str(error)) from error


def _compose(words: list[str]) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", [])}
    rest = iter(words[1:])
    for word in rest:
        if word == "--profile" and (profile := next(rest)) not in profiles:
            raise Impossible(f"docker-compose.yml has no profile {profile}")
        if word in ("run", "logs", "exec"):
            service = next(word for word in rest if not word.startswith("--"))
            if service not in services:
                raise Impossible(f"docker-compose.yml has no service {service}")
            if service == "trainer":
                _python([".venv/bin/python", "-m", "trainer", *rest])


def _kubectl(words: list[str]) -> None:
    _files(words)
    manifests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "deploy" / "k8s").rglob("*.yaml"))
    for word in words:
        named = re.fullmatch(r"(?:--from=)?(deployment|service|cronjob)/(\S+)", word)
        if named and not re.search(rf"(?i)kind: {named[1]}\nmetadata: ?\{{?\s*name: {named[2]}\b", manifests):
            raise Impossible(f"deploy/k8s has no {named[1]} {named[2]}")
    if words[1:4] == ["create", "secret", "generic"] and not re.search(rf"\b{words[4]}\b", manifests):
        raise Impossible(f"deploy/k8s names no Secret {words[4]}")


def _files(words: list[str]) -> None:
    """Raise Impossible if a path of this repository does not exist."""
    for word in words:
        if re.match(r"(deploy|tests)/", word) and not (ROOT / word).exists():
            raise Impossible(f"there is no {word}")
