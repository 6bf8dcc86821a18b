"""`python -m trainer inspect`, and what every command says of the data before it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.folders import MOVIES, RATINGS, folder_of, folder_with
from tools.processes import START_TIMEOUT_S, served, wait_for


def trainer(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainer", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, env={**os.environ, **environment})


def test_inspect_prints_four_lines_and_the_ten_oddest_rows(tmp_path: Path) -> None:
    """Each odd row comes with its place and the reason; nothing is trained."""
    more = (
        "".join(f"3,{movie},4.0,16000003{movie}\n" for movie in (10, 20, 30)) + "3,77,1,1600000400\n3,10,2,1600000500\n"
    )
    folder = folder_with(tmp_path, RATINGS + more + "".join(f"{u},10,3,1600000600\n" for u in range(4, 12)))
    run = trainer("inspect", "--data", str(folder))
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].startswith("ratings from ratings.csv (UTF-8, separated by commas): user = userId, movie = movieId")
    assert lines[1].startswith("movies from movies.csv")
    assert "14 ratings of 3 movies by 11 users" in lines[2]
    assert "ids are whole numbers" in lines[2]
    assert "1 repeated ratings left out" in lines[2]
    assert "1 ratings left out, for the list of movies lacks theirs" in lines[2]
    assert lines[3].startswith("times: to the second, 2020-09-13 to 2020-09-13")
    assert lines[4] == "the oddest rows:"
    assert len(lines) == 15
    assert "ratings.csv:5  3,10,4.0,1600000310  (the same user rated this movie later)" in lines[5]
    assert "ratings.csv:8  3,77,1,1600000400  (the list of movies lacks this one)" in lines[6]
    assert [p.name for p in tmp_path.iterdir()] == [p.name for p in folder.iterdir()]


def test_inspect_does_not_wait_for_tensorflow(tmp_path: Path) -> None:
    """Reading needs no more than pandas and pyarrow."""
    code = "import sys; from trainer.__main__ import main; main(sys.argv[1:]); print('tensorflow' in sys.modules)"
    command = [sys.executable, "-c", code, "inspect", "--data", str(folder_with(tmp_path))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert run.stdout.splitlines()[-1] == "False"


def test_an_output_that_cannot_encode_a_title_ends_nothing(tmp_path: Path) -> None:
    """Letters are shown as escapes where the terminal is ASCII."""
    folder = folder_with(tmp_path, movies=MOVIES.replace("Heat", "Łódka 千と千尋 with a long title"))
    run = trainer("inspect", "--data", str(folder), PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert run.returncode == 0, run.stderr
    assert "\\u0141" in run.stdout


@pytest.mark.slow
def test_training_says_the_same_before_it_starts(tmp_path: Path) -> None:
    """The four lines come first; what two users tell is too little to publish, and the last line says so."""
    run = trainer("--data", str(folder_with(tmp_path)), "--artifacts", str(tmp_path / "artifacts"))
    assert run.returncode == 1
    lines = run.stderr.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["ratings", "movies", f"{tmp_path.name}:", "times:"]
    assert lines[-1].startswith("error: not published: recall@20 is 0")
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "artifacts" / "releases").exists()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["below a file", "a file"])
def test_artifacts_that_cannot_be_written_are_refused_first(tmp_path: Path, place: str) -> None:
    """Nobody trains for an hour to learn it."""
    folder_of(tmp_path, {"taken": "", "ratings.csv": RATINGS})
    artifacts = tmp_path / "taken" if place == "a file" else tmp_path / "taken" / "artifacts"
    run = trainer("--data", str(tmp_path), "--artifacts", str(artifacts))
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"error: {artifacts}: releases cannot be written to {tmp_path / 'taken'}")


def test_a_file_as_data_is_told_from_a_folder(tmp_path: Path) -> None:
    """The message says what to name instead."""
    run = trainer("--data", str(folder_with(tmp_path) / "ratings.csv"))
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.endswith("ratings.csv: expected a folder with ratings, got a file: name the folder that holds it")


@pytest.mark.slow
def test_strict_and_columns_are_flags(tmp_path: Path) -> None:
    """What is left out otherwise is refused; wrong names end with usage."""
    folder = folder_with(tmp_path, RATINGS + "2,77,1,1600000400\n")
    assert trainer("inspect", "--data", str(folder), "--strict").returncode == 1
    folder_of(folder, {"ratings.csv": RATINGS.split("\n", 1)[1]})
    named = trainer("inspect", "--data", str(folder), "--columns", "user,movie,rating,timestamp")
    assert "3 ratings of 2 movies by 2 users" in named.stdout
    wrong = trainer("inspect", "--data", str(folder), "--columns", "movie,rating")
    assert wrong.returncode == 2
    assert "with user and movie, got 'movie,rating'" in wrong.stderr


def test_an_interrupt_ends_in_one_line(tmp_path: Path) -> None:
    """SIGINT while ratings are read: status 130, no traceback."""
    rows = "".join(f"{user},{movie},4\n" for user in range(6000) for movie in range(200))
    folder = tmp_path / "data"
    folder.mkdir()
    folder_of(folder, {"ratings.csv": "user,item,rating\n" + rows})
    heeds = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # a job in the background ignores it
    code = f"import signal, sys; {heeds}; from trainer.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "--data", str(folder), "--artifacts", str(tmp_path / "artifacts")]
    with served(command, tmp_path / "log", {}, "the trainer") as run:
        wait_for(
            lambda: has_open(run.process.pid, folder / "ratings.csv") or "ratings from" in run.text(),
            "the ratings are being read, or have just been",
            START_TIMEOUT_S,
        )
        run.send(signal.SIGINT)
        assert run.process.wait(timeout=100) == 130
    assert "Traceback" not in run.text()
    assert run.text().splitlines()[-1] == "interrupted: nothing was published"


def has_open(pid: int, file: Path) -> bool:
    """Whether the process has opened the file, and not closed it yet.  Linux only."""
    with suppress(OSError):  # a file is closed while the list is read
        return any(handle.readlink() == file for handle in Path(f"/proc/{pid}/fd").iterdir())
    return False
