"""Fuzz tests of releases: no file of a release folder, whatever it holds, can crash the service."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.release.v1.layout import CURRENT
from recommender_service.release_files import ReleaseError, read_movies
from recommender_service.release_loading import load_release
from tests.support.crafted import index_nodes, rewrite
from tests.support.fuzzing import FUZZ

pytestmark = pytest.mark.slow

FILES = sorted(CURRENT.files)
SEARCH_K = 10_000  # every node of every tree


@pytest.fixture(scope="module")
def release(checkerboard_artifacts: Path) -> Path:
    return min((checkerboard_artifacts / "releases").iterdir())


@FUZZ
@given(name=st.sampled_from(FILES), data=st.data())
def test_a_damaged_file_is_read_or_refused(release: Path, tmp_path: Path, name: str, data: st.DataObject) -> None:
    """A damaged file whose checksum matches is read, or refused with a ReleaseError."""
    copy = _copy(release, tmp_path)
    content = bytearray((copy / name).read_bytes())
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content)), label="length")]
    for _ in range(data.draw(st.integers(0, 8), label="changes")):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    rewrite(copy, name, bytes(content))
    _load_or_refuse(copy)


INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 60)


@FUZZ
@given(
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 5), INT32), min_size=1, max_size=6),
    num_nodes=st.integers(0, 10**6) | st.none(),
)
def test_a_crafted_index_is_searched_or_refused(
    release: Path, tmp_path: Path, changes: list[tuple[int, int, int]], num_nodes: int | None
) -> None:
    """An index with any numbers in the nodes of its trees, and with any number of nodes, crashes nothing."""
    copy = _copy(release, tmp_path)
    nodes, num_items = index_nodes(copy)
    inner = nodes[num_items:]
    for row, column, value in changes:
        inner[row % len(inner), column % inner.shape[1]] = value
    rewrite(copy, "movies.ann", nodes[: num_nodes and num_nodes % len(nodes)].tobytes())
    _load_or_refuse(copy)


SCALARS = st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats() | st.text(max_size=5)
JSON: st.SearchStrategy[Any] = SCALARS | st.builds(list) | st.builds(dict)


@FUZZ
@given(data=st.data(), value=JSON)
def test_a_manifest_with_any_value_is_read_or_refused(
    release: Path, tmp_path: Path, data: st.DataObject, value: Any
) -> None:
    """A manifest with any value in any field is read, or refused with a ReleaseError."""
    copy = _copy(release, tmp_path)
    manifest = json.loads((copy / "manifest.json").read_text())
    target: Any = manifest
    while True:
        keys = sorted(target) if isinstance(target, dict) else list(range(len(target)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(target[key], (dict, list)) and target[key] and data.draw(st.booleans()):
            target = target[key]
        else:
            target[key] = value
            break
    (copy / "manifest.json").write_text(json.dumps(manifest))
    _load_or_refuse(copy)


@FUZZ
@given(content=st.binary(max_size=300))
def test_a_manifest_of_any_bytes_is_refused(release: Path, tmp_path: Path, content: bytes) -> None:
    """A manifest of arbitrary bytes is refused with a ReleaseError."""
    copy = _copy(release, tmp_path)
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(ReleaseError):
        load_release(copy)


@pytest.mark.parametrize(
    ("column", "value"),
    [("popularity", "-1"), ("popularity", "9" * 30), ("movie_id", "9" * 30), ("title", "x" * 200_000)],
)
def test_a_movie_table_with_values_out_of_bounds_is_refused(tmp_path: Path, column: str, value: str) -> None:
    """A movie table with a value out of bounds is refused, and the message names the file."""
    columns = {"movie_id": "1", "key": "", "title": "Heat (1995)", "year": "1995", "genres": "Crime", "popularity": "3"}
    table = tmp_path / "movies.csv"
    table.write_text(",".join(columns) + "\n" + ",".join({**columns, column: value}.values()) + "\n")
    with pytest.raises(ReleaseError, match=r"movies\.csv"):
        read_movies(table, CURRENT)


def _copy(release: Path, tmp_path: Path) -> Path:
    copy = tmp_path / release.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(release, copy)
    return copy


def _load_or_refuse(folder: Path) -> None:
    """Load the release and search it, which must either succeed or raise a ReleaseError that names the folder."""
    complaint = str(folder)
    try:
        release = load_release(folder)
        for movies in (release.movie_embeddings, release.similarity):
            num_movies, index = len(movies.vectors), movies.index
            assert index is not None
            for query in np.eye(index.f, dtype=np.float32):
                found, _ = index.get_nns_by_vector(query, num_movies, SEARCH_K, include_distances=True)
                assert set(found) <= set(range(num_movies))
    except ReleaseError as error:
        complaint = str(error)
    assert str(folder) in complaint
