"""Files that are no ratings end in one line, at once, in little memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.folders import MOVIES, RATINGS, folder_of

HEADER = b"userId,movieId,rating\n"
MEGABYTE = 1 << 20


def write_long(path: Path, start: bytes, piece: bytes, megabytes: int, end: bytes = b"") -> None:
    with path.open("wb") as file:
        file.write(start)
        for _ in range(megabytes):
            file.write(piece * (MEGABYTE // len(piece)))
        file.write(end)


def columns(count: int) -> bytes:
    return b",".join(b"c%d" % at for at in range(count))


CASES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a field of 300 MB": ("ratings.csv", lambda p: write_long(p, HEADER + b"1,1,", b"4", 300), ":2: expected lines"),
    "a quoted field of 300 MB": (
        "ratings.csv",
        lambda p: write_long(p, HEADER + b'1,1,"', b"4\n", 300),
        ":2: the quotes of this record do not match",
    ),
    "a first line of 300 MB": ("ratings.csv", lambda p: write_long(p, b"", b"4", 300), ":1: expected a header"),
    "zeros, packed": (
        "ratings.csv.gz",
        lambda p: p.write_bytes(gzip.compress(HEADER + b"1,1," + b"4" * 300 * MEGABYTE, 1)),
        ":2: expected lines of at most 4 MiB",
    ),
    "a million columns": (
        "ratings.csv",
        lambda p: p.write_bytes(b"userId,movieId,rating," + columns(10**6) + b"\n1,1,4" + b",1" * 10**6 + b"\n"),
        ":1: expected a header",
    ),
    "a million columns in a row": (
        "ratings.csv",
        lambda p: p.write_bytes(HEADER + b"1,1,4" + b",1" * 10**6 + b"\n"),
        ":2: expected 3 fields",
    ),
    "JSON lines": ("ratings.csv", lambda p: p.write_bytes(b'{"user": 1, "item": 2}\n' * 10**5), ":1: expected a table"),
    "an unclosed quote": (
        "ratings.csv",
        lambda p: p.write_bytes(HEADER + b'1,1,"4\n' + b"1,1,4\n" * 10**5),
        ":2: the quotes of this record do not match",
    ),
    "an unclosed quote among others": (
        "movies.csv",
        lambda p: p.write_bytes(b'movieId,title,genres\n1,"A,Drama\n2,B,Drama\n3,"C",Drama\n'),
        ":2: the quotes of this record do not match",
    ),
    "a spreadsheet": (
        "ratings.csv",
        lambda p: p.write_bytes(b"PK\x03\x04" + bytes(99)),
        ":1: expected text or Parquet",
    ),
    "bytes": ("ratings.csv", lambda p: p.write_bytes(bytes(range(256)) * 99), ":1: expected text"),
    "no gzip": ("ratings.csv.gz", lambda p: p.write_bytes(RATINGS.encode()), ": cannot be read"),
    "half a gzip": (
        "ratings.csv.gz",
        lambda p: p.write_bytes(gzip.compress(RATINGS.encode())[:-12]),
        ": cannot be read: Truncated",
    ),
    "no Parquet": ("ratings.parquet", lambda p: p.write_bytes(b"PAR1 and nothing PAR1"), ": cannot be read"),
    "a carriage return in a title": (
        "movies.dat",
        lambda p: p.write_bytes(b"10::Am\rlie::Drama\n"),
        ":1: expected 3 fields",
    ),
    "a named pipe": ("ratings.csv", os.mkfifo, ": expected a file"),
    "a pipe as catalogue": ("movies.csv", os.mkfifo, ": expected a file"),
    "an empty folder": ("ratings.csv", Path.mkdir, ": expected a file, or a folder of files"),
    "a broken link": ("movies.csv", lambda p: p.symlink_to("/nowhere/at/all"), ": expected a file"),
    "a wrong header": ("movies.csv", lambda p: p.write_bytes(b"a,b\n1,2\n"), ":1: expected a header with an id"),
}

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (900 << 20,) * 2)
from trainer.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_one_line_at_once_in_little_memory(tmp_path: Path, case: str) -> None:
    """Exit status 1, no traceback, under a limit of memory; nothing is left behind."""
    name, write, message = CASES[case]
    data = tmp_path / "data"
    data.mkdir()
    others = {"ratings.csv": RATINGS} if name.startswith("movies") else {"movies.csv": MOVIES}
    folder_of(data, dict(others))
    write(data / name)
    arguments = [sys.executable, "-c", LIMITED, "--data", str(data), "--artifacts", str(tmp_path / "artifacts")]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=250)
    assert run.returncode == 1, run.stderr
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"error: {data / name}{message}")
    assert len(line) < 500
    assert not (tmp_path / "artifacts" / "releases").exists()
