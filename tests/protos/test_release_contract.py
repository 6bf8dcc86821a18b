"""The manifest's words and the code that both sides import say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from protos.release.v1 import layout, manifest_pb2
from protos.release.v1.effort import MIN_EFFORT_PER_CANDIDATE, index_is_worthwhile, search_effort

PROTO = Path(layout.__file__).with_name("manifest.proto").read_text(encoding="utf-8")
FILE_LINE = re.compile(r"^//   (\w+\.(?:csv|npy|ann)) ", re.MULTILINE)


def test_manifest_describes_every_file_of_the_layout() -> None:
    """The table of files in manifest.proto lists each file that code reads and writes, and no other."""
    assert sorted(FILE_LINE.findall(PROTO)) == sorted(layout.CURRENT.files)


def test_manifest_names_the_current_format_version() -> None:
    """The comment of `format_version` ends with the number that the trainer writes."""
    assert re.search(r"Now (\d+)\.\n  int32 format_version", PROTO)[1] == str(layout.CURRENT.version)  # type: ignore[index]


def test_manifest_names_the_columns_of_the_movie_table() -> None:
    """The columns in manifest.proto are the ones that code reads and writes, in the same order."""
    columns = re.search(r"movies\.csv +([a-z_,]+) for all", PROTO)
    assert columns is not None
    assert tuple(columns[1].split(",")) == layout.CURRENT.movie_columns


def test_effort_grows_with_the_list_and_the_candidates() -> None:
    """A list as long as calibrated takes the calibrated effort; longer lists and more candidates take more."""
    assert search_effort(1000, 10, 10, 10) == 1000
    assert search_effort(1000, 10, 25, 25) == 2500
    assert search_effort(10, 10, 10, 400) == 400 * MIN_EFFORT_PER_CANDIDATE


@pytest.mark.parametrize(
    ("num_movies", "num_together", "is_searched"),
    [(7_000, 1, True), (7_000, 7, True), (7_000, 8, False), (60_000, 100, True), (600, 1, False)],
)
def test_the_index_answers_where_it_costs_less(num_movies: int, num_together: int, is_searched: bool) -> None:
    """Scans of many users together cost less than the index where movies are few, and scans of very few always do."""
    assert index_is_worthwhile(800, num_movies, 32, 100, 256, num_together) == is_searched


def test_messages_are_those_of_the_proto() -> None:
    """The generated code was made from the manifest.proto beside it."""
    file = FileDescriptorProto()
    manifest_pb2.DESCRIPTOR.CopyToProto(file)
    assert [message.name for message in file.message_type] == re.findall(r"^message (\w+) {", PROTO, re.MULTILINE)
