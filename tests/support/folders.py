"""Small data sets in folders."""

from __future__ import annotations

from pathlib import Path

RATINGS = "userId,movieId,rating,timestamp\n1,10,4.0,1600000000\n1,20,3.5,1600000100\n2,10,0.5,1600000200\n"
MOVIES = 'movieId,title,genres\n10,Heat (1995),Action|Crime\n20,"Amélie, the ""Fabulous"" (2001)",Comedy\n30,Solaris,\n'


def folder_of(path: Path, files: dict[str, str | bytes]) -> Path:
    """Writes each file, text as UTF-8, and returns the folder."""
    for name, content in files.items():
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def folder_with(path: Path, ratings: str | bytes = RATINGS, movies: str | bytes = MOVIES) -> Path:
    """A folder with ratings.csv and movies.csv."""
    return folder_of(path, {"ratings.csv": ratings, "movies.csv": movies})
