"""Data sets are downloaded whole or not at all, checked, and cached."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trainer.data.dataset import read_folder
from trainer.data.movielens import DownloadError, download, find_dataset
from trainer.data.records import DataError
from trainer.data.sample import generate

RATINGS = "userId,movieId,rating,timestamp\n1,10,4.0,100\n"
MOVIES = "movieId,title,genres\n10,Heat (1995),Action\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """(folder, URL) of a web server on the loopback interface that publishes ml-latest-small.zip with its md5."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("ml-latest-small/ratings.csv", RATINGS)
        zipped.writestr("ml-latest-small/movies.csv", MOVIES)
    (folder / "ml-latest-small.zip").write_bytes(archive.getvalue())
    digest = hashlib.md5(archive.getvalue()).hexdigest()
    (folder / "ml-latest-small.zip.md5").write_text(f"MD5 (ml-latest-small.zip) = {digest}\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_downloads_checks_and_unpacks(mirror: tuple[Path, str], tmp_path: Path) -> None:
    """A download is checked, unpacked and kept in the cache."""
    folder = download("ml-latest-small", tmp_path / "cache", mirror[1])
    assert read_folder(folder).ratings["movie_id"].tolist() == [10]
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["ml-latest-small"]


def test_downloads_without_a_published_md5(mirror: tuple[Path, str], tmp_path: Path) -> None:
    """A data set whose checksum is not published is taken as it comes."""
    (mirror[0] / "ml-latest-small.zip.md5").unlink()
    assert download("ml-latest-small", tmp_path / "cache", mirror[1]).is_dir()


@pytest.mark.parametrize("damage", ["md5", "zip", "missing"])
def test_a_bad_download_leaves_nothing_behind(mirror: tuple[Path, str], tmp_path: Path, damage: str) -> None:
    """A wrong checksum, a broken archive and a missing one are named, and the cache stays empty."""
    archive = mirror[0] / "ml-latest-small.zip"
    if damage == "md5":
        archive.with_suffix(".zip.md5").write_text("0" * 32)
    elif damage == "zip":
        archive.write_bytes(b"not a zip")
        archive.with_suffix(".zip.md5").unlink()
    else:
        archive.unlink()
    with pytest.raises(DownloadError, match=r"ml-latest-small\.zip"):
        download("ml-latest-small", tmp_path / "cache", mirror[1])
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cached_data_set_must_have_the_published_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached data set with another number of ratings than published is refused."""
    monkeypatch.delenv("MOVIELENS_DIR", raising=False)
    cached = tmp_path / "ml-latest-small"
    cached.mkdir()
    (cached / "ratings.csv").write_text(RATINGS)
    (cached / "movies.csv").write_text(MOVIES)
    with pytest.raises(DataError, match="num_ratings=100836"):
        find_dataset("ml-latest-small", None, tmp_path)


def test_movielens_dir_comes_before_any_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in MOVIELENS_DIR is read instead of a download."""
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / "movies.csv").write_text(MOVIES)
    monkeypatch.setenv("MOVIELENS_DIR", str(tmp_path))
    assert len(find_dataset("ml-latest-small", None, tmp_path / "cache").ratings) == 1


def test_the_generated_sample_is_seeded_and_says_so() -> None:
    """The sample is marked as generated, and is the same every time."""
    first, second = generate(), generate()
    assert first.generated
    assert first.fingerprint == second.fingerprint
    assert first.ratings["user_id"].nunique() == 600
    assert len(first.movies) == 2_000
    assert 50_000 <= len(first.ratings) <= 70_000
    assert not first.ratings.duplicated(["user_id", "movie_id"]).any()
