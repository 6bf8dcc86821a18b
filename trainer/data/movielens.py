"""Finds the ratings to train on: a folder of yours, MOVIELENS_DIR, the cache, or a download from GroupLens."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from trainer.data.dataset import DEFAULT_READING, Dataset, Reading, read_folder
from trainer.data.records import DataError
from trainer.workers.workers import ALONE, Workers, total

log = logging.getLogger(__name__)

GROUPLENS = "https://files.grouplens.org/datasets/movielens"
CONNECT_TIMEOUT_S = 10  # also the longest silence while reading
DEFAULT_DATASET = "ml-latest-small"
CACHE = Path("data")


@dataclass(frozen=True)
class Published:
    """What GroupLens' README states of a data set."""

    num_ratings: int
    num_movies: int


PUBLISHED = {
    "ml-latest-small": Published(100_836, 9_742),
    "ml-1m": Published(1_000_209, 3_883),
    "ml-25m": Published(25_000_095, 62_423),
    "ml-32m": Published(32_000_204, 87_585),
}


class DownloadError(Exception):
    """The data set could not be fetched; nothing was kept."""


def find_dataset(
    name: str, folder: Path | None, cache: Path, reading: Reading = DEFAULT_READING, workers: Workers = ALONE
) -> Dataset:
    """Reads `folder` if given, else the folder MOVIELENS_DIR names, else data set `name` from the cache or GroupLens.

    workers: as for `read_folder`.

    Raises DataError for data that cannot be used, DownloadError if they cannot be fetched.
    """
    environment = os.environ.get("MOVIELENS_DIR")
    if folder is not None:
        return read_folder(folder, reading=reading, workers=workers)
    if environment:
        log.info("reading MOVIELENS_DIR=%s", environment)
        return read_folder(Path(environment), reading=reading, workers=workers)
    cached = cache / name
    if not cached.is_dir():
        download(name, cache)
    dataset = read_folder(cached, name, reading, workers)
    expected, got = PUBLISHED[name], Published(total(workers, len(dataset.ratings)), len(dataset.movies))
    if got != expected:
        raise DataError(f"{cached}: expected {expected} as published, got {got}; delete the folder to fetch it again")
    return dataset


def download(name: str, cache: Path, base_url: str = GROUPLENS) -> Path:
    """Fetches and unpacks data set `name` into `cache/name`, whole or not at all. Raises DownloadError."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as scratch:
        archive = Path(scratch) / f"{name}.zip"
        url = f"{base_url}/{name}.zip"
        try:
            _fetch(url, archive)
            _check_md5(url, archive)
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(scratch)
        except (OSError, zipfile.BadZipFile) as error:  # URLError and time-outs are OSErrors
            raise DownloadError(f"cannot download {url}: {error}") from error
        unpacked = Path(scratch) / name
        if not unpacked.is_dir():
            raise DownloadError(f"{url}: expected a folder {name} in the archive")
        shutil.rmtree(cache / name, ignore_errors=True)
        unpacked.rename(cache / name)
    return cache / name


def _fetch(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S) as response, path.open("wb") as file:
        total = int(response.headers.get("Content-Length", 0)) or None
        log.info("downloading %s%s", url, f", {total / 1e6:.0f} MB" if total is not None else "")
        with tqdm(total=total, unit="B", unit_scale=True, desc=f"download {path.name}", disable=None) as bar:
            while chunk := response.read(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and path.stat().st_size != total:
        raise DownloadError(f"{url}: expected {total} bytes, got {path.stat().st_size}")


def _check_md5(url: str, archive: Path) -> None:
    """Compares with the published .md5, where there is one; the row counts are checked after reading in any case."""
    try:
        with urllib.request.urlopen(f"{url}.md5", timeout=CONNECT_TIMEOUT_S) as response:
            published = response.read(1 << 12).decode("ascii", "replace")
    except urllib.error.HTTPError as error:
        if error.code in (403, 404):
            log.info("%s.md5 is not published; row counts are checked instead", url)
            return
        raise
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "md5").hexdigest()
    if digest not in published:
        raise DownloadError(f"{url}: expected md5 {published.strip()}, got {digest}")
