"""Ratings of users with clear tastes in files, and trainers that learn from them and from events."""

from __future__ import annotations

import random
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tools.processes import Server, served
from tools.servers import HOST, free_port
from trainer.release.catalogue import served_versions

NUM_USERS, NUM_MOVIES, NUM_TASTES = 120, 240, 6
SMALL = ("--embedding-dim=16", "--epochs=15", "--batch-size=32")
BAD = ("--embedding-dim=1", "--epochs=1", "--learning-rate=1e-9")  # all movies point the same way


def write_tastes(folder: Path) -> None:
    """User u likes 15 movies m with m % 6 == u % 6, and dislikes 3 others."""
    draw = random.Random(1)
    folder.mkdir()
    rows = ["userId,movieId,rating,timestamp"]
    for user in range(NUM_USERS):
        own = [movie for movie in range(NUM_MOVIES) if movie % NUM_TASTES == user % NUM_TASTES]
        others = [movie for movie in range(NUM_MOVIES) if movie % NUM_TASTES != user % NUM_TASTES]
        rated = [(movie, 5) for movie in draw.sample(own, 15)] + [(movie, 1) for movie in draw.sample(others, 3)]
        draw.shuffle(rated)
        rows += [f"{user},{movie},{stars},{1_600_000_000 + at}" for at, (movie, stars) in enumerate(rated)]
    movies = ["movieId,title", *(f"{movie},Movie {movie} (2000)" for movie in range(NUM_MOVIES))]
    (folder / "ratings.csv").write_text("\n".join(rows) + "\n")
    (folder / "movies.csv").write_text("\n".join(movies) + "\n")


@contextmanager
def training(
    folder: Path, url: str, command: str = "train", flags: tuple[str, ...] = SMALL, log: str = "trainer.log"
) -> Iterator[Server]:
    """A trainer over `folder`/data, which publishes into `folder` and knows the store by its environment."""
    command_line = [sys.executable, "-m", "trainer", command, f"--data={folder / 'data'}", f"--artifacts={folder}"]
    environment = {"EVENTS_URL": url, "TF_CPP_MIN_LOG_LEVEL": "2"}
    with served([*command_line, *flags], folder / log, environment, f"trainer {command}") as trainer:
        yield trainer


def trained(folder: Path, url: str, *flags: str) -> int:
    """Train and return the version of the newest release. Raises AssertionError if the trainer fails."""
    with training(folder, url, flags=(*SMALL, *flags)) as trainer:
        assert trainer.process.wait(300) == 0, trainer.text()
    return served_versions(folder)[-1]


@contextmanager
def watching(folder: Path, url: str, *flags: str, model: tuple[str, ...] = SMALL) -> Iterator[tuple[Server, str]]:
    """(trainer, address of its metrics) of `trainer watch`, which looks every two seconds."""
    address = f"{HOST}:{free_port()}"
    own = ("--every=2s", f"--metrics-address={address}", *model, *flags)
    with training(folder, url, "watch", own, "watch.log") as trainer:
        trainer.wait_for_line("looking for")
        yield trainer, address


def looks(address: str, result: str) -> float:
    """How many looks of a watching trainer had that result."""
    return metric(address, "trainer_looks_total", result=result)


def metric(address: str, name: str, **labels: str) -> float:
    """The value of a watching trainer's metric."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as response:
        text = response.read().decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    raise AssertionError(f"expected the metric {name} {labels}, got others")
