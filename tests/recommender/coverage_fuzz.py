"""Fuzzes the code that reads releases and requests, guided by coverage, with Atheris. The suite itself uses Hypothesis.

    pip install atheris
    python -m tests.recommender.coverage_fuzz movies|manifest|recommend|search RELEASE_FOLDER [-max_total_time=60]

It ends with the input that broke something, if one does. The name of the folder must be the release's version.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris
from google.protobuf.message import DecodeError

with atheris.instrument_imports(include=["recommender_service", "google.protobuf.json_format"]):
    from protos.release.v1.layout import CURRENT, MANIFEST
    from recommender_service.errors import ModelServerUnavailable, ServiceError
    from recommender_service.metrics import MODEL_SERVER_AWAY
    from recommender_service.recommendation import encode, rank
    from recommender_service.release import Release
    from recommender_service.release_files import ReleaseError, read_manifest, read_movies
    from recommender_service.release_loading import load_release
    from recommender_service.resolved_request import resolve
    from recommender_service.title_words import words_of

from protos.recommender.v1 import recommender_pb2 as api

HEADER = ",".join(CURRENT.movie_columns).encode() + b"\n"


def main(target: str, release: Path, options: list[str]) -> None:
    loaded = load_release(release)
    with tempfile.TemporaryDirectory() as scratch:
        folder, corpus = Path(scratch) / release.name, Path(scratch) / "corpus"
        folder.mkdir()
        corpus.mkdir()
        seed = (release / ("movies.csv" if target == "movies" else MANIFEST)).read_bytes()
        (corpus / "seed").write_bytes(seed[:2000] if target == "movies" else seed)
        targets = {
            "movies": lambda content: _read_movies(folder / "movies.csv", content),
            "manifest": lambda content: _read_manifest(folder, content),
            "recommend": lambda content: _recommend(loaded, content),
            "search": lambda content: _search(loaded, content),
        }
        _fuzz(targets[target], [*options, str(corpus)])


def _fuzz(test_one_input: Callable[[bytes], None], options: list[str]) -> None:
    atheris.Setup([sys.argv[0], *options], test_one_input)
    atheris.Fuzz()


def _read_movies(path: Path, content: bytes) -> None:
    path.write_bytes(HEADER + content.removeprefix(HEADER))
    with suppress(ReleaseError):
        read_movies(path, CURRENT)


def _read_manifest(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    with suppress(ReleaseError):
        read_manifest(folder)


def _recommend(release: Release, content: bytes) -> None:
    with suppress(DecodeError, ServiceError):
        request = resolve(release, api.RecommendRequest.FromString(content))
        needs_embedding = request.user_id is not None or request.fold_in_key
        embedding = ModelServerUnavailable("not asked", MODEL_SERVER_AWAY) if needs_embedding else None
        encode(release, request, rank(release, request, embedding, degraded_answers=True))


def _search(release: Release, content: bytes) -> None:
    query = content.decode("utf-8", "ignore")[:200]
    if words_of(query):
        release.titles.search(query, 10)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve(), sys.argv[3:])
