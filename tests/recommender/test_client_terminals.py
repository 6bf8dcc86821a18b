"""The command-line client on odd arguments and odd terminals."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from recommender_service.client.table import format_table
from tests.support.command_line import client
from tests.support.releases import TITLES


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["recommend", "9" * 30], 1, "error: user: expected an id from 0 to 9,223,372,036,854,775,807, got 999"),
        (["hide", "10", "9" * 5000], 1, "error: movie: expected an id from 0 to 9,223,372,036,854,775,807, got 999"),
        (["recommend", "10", "--limit", "-1"], 2, "argument -n/--limit: expected a whole number from 0 to "),
        (["recommend", "10", "--limit", "501"], 1, "error: INVALID_ARGUMENT: limit: expected "),
        (["recommend", "10", "--limit", "9" * 5000], 2, "argument -n/--limit: expected a whole number from 0 to "),
        (["search", "\udcff"], 2, "argument query: expected UTF-8, got '\\udcff'"),
        (["similar", "\x1b[31m zzyzx"], 1, "error: no title is near '\\x1b[31m zzyzx'"),
        (["recommend", "\x1b[31m"], 1, "error: INVALID_ARGUMENT: user_key: "),
    ],
    ids=[
        "user",
        "movie",
        "limit below 0",
        "limit above 500",
        "limit of many digits",
        "no UTF-8",
        "escape in a title",
        "escape in a key",
    ],
)
def test_odd_arguments_end_in_one_line(
    recommender_address: str, arguments: list[str], status: int, complaint: str
) -> None:
    """What is out of range, or not even text, ends with one short line, and a terminal obeys none of it."""
    run = client(recommender_address, *arguments)
    assert run.returncode == status, run.stderr
    last = run.stderr.splitlines()[-1]
    assert complaint in last
    assert "\x1b" not in run.stderr
    assert len(last) < 400


def test_a_reader_may_close_the_pipe(recommender_address: str) -> None:
    """If nobody reads the answer, as after `head`, the client ends with status 1 and no word."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "recommender_service.client", "--address", recommender_address, "status"]
    with os.fdopen(writing, "w") as closed:
        run = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (1, "")


def test_a_full_disk_is_one_sentence(recommender_address: str) -> None:
    """If the answer cannot be written, the client says so."""
    command = [sys.executable, "-m", "recommender_service.client", "--address", recommender_address, "status"]
    with open("/dev/full", "w") as full:  # noqa: PTH123, a device
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (1, "error: writing: No space left on device\n")


def test_a_terminal_without_utf_8_shows_escapes(recommender_address: str) -> None:
    """Letters that it lacks are shown as escapes, and `--json` stays JSON."""
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    run = client(recommender_address, "search", "fabuleux", environment=ascii_only)
    assert "Am\\xe9lie" in run.stdout
    run = client(recommender_address, "search", "fabuleux", "--json", environment=ascii_only)
    assert json.loads(run.stdout)["movies"][0]["title"] == TITLES[4]


def test_a_cell_keeps_to_its_place() -> None:
    """What would move the cursor, end the line, colour it or turn it round is written as an escape."""
    _, line = format_table(["title", "n"], [["\x1b[2J\x9bH\u202e\n\x7f", "1"]]).splitlines()
    assert line == r"\x1b[2J\x9bH\u202e\n\x7f  1"
