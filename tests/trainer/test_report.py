"""The page about a release."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import json_format

from events.event import Event, Kind
from events.snapshot import read_snapshot
from events.store import EventStore
from protos.release.v1 import manifest_pb2
from tests.support.tastes import SMALL, dataset_of, tastes
from trainer.data.dataset import Dataset
from trainer.data.events import with_events
from trainer.data.ratings import FIVE_STARS
from trainer.data.records import DataError
from trainer.index import calibration
from trainer.model.tensorflow_quietly import tf
from trainer.report.measure import measure
from trainer.report.page import write_report
from trainer.report.release import load
from trainer.training import train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def index_however_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the index answer, whatever scans take: which of them does must not depend on how busy the machine is."""
    monkeypatch.setattr(calibration, "MAX_TIMES_SLOWER", math.inf)


def manifest_of(release: Path) -> manifest_pb2.Manifest:
    return json_format.Parse((release / "manifest.json").read_text(), manifest_pb2.Manifest())


def metrics_of(manifest: manifest_pb2.Manifest) -> dict[str, float]:
    """Return the metrics of the ranking through the index."""
    return dict(next(e for e in manifest.evaluations if e.ranking == "index").metrics)


def events_of(logs: Path) -> dict[str, list[float]]:
    """Return the scalars in TensorBoard's only file of events, by tag."""
    (events,) = logs.glob("events.out.tfevents.*")
    values: dict[str, list[float]] = {}
    for event in tf.compat.v1.train.summary_iterator(str(events)):
        for value in event.summary.value:
            values.setdefault(value.tag, []).append(value.simple_value)
    return values


def with_some_events(dataset: Dataset, folder: Path) -> Dataset:
    """The data set with the events of a new store, in which some users rate what they had not rated."""
    store = EventStore(f"sqlite:///{folder / 'events.db'}")
    store.prepare()
    rated = set(zip(dataset.ratings["user_id"], dataset.ratings["movie_id"], strict=True))
    new = [(user, movie) for user in range(1, 11) for movie in range(user % 2 + 2, 60, 2) if (user, movie) not in rated]
    store.append([Event(f"{user}-{movie}", user, "", movie, "", Kind.RATED, 5.0, 10**15) for user, movie in new[:40]])
    return with_events(dataset, read_snapshot(store), FIVE_STARS)


def test_a_report_is_one_page_and_logs_for_tensorboard(tmp_path: Path) -> None:
    """The page is small, needs no other file and escapes titles. Its figures are the manifest's, and so are the logs'.

    Without the events that the release holds, it leaves out what would need them, and says so.
    """
    files = dataset_of(tastes(users=60, movies=60, each=25))
    files.movies["genres"] = ["War|Drama" if movie % 2 else "" for movie in files.movies["movie_id"]]
    files.movies["title"] = [f"<i>Movie</i> {movie}" for movie in files.movies["movie_id"]]
    dataset = with_some_events(files, tmp_path)
    release = train(dataset, 3.5, SMALL, tmp_path, force=True)
    manifest = manifest_of(release)
    before = int(release.name) - 1
    shutil.copytree(release, release.parent / str(before))
    recall = f"{metrics_of(manifest)['recall@20']:.4f}"

    page = write_report(load(tmp_path, None, files), tmp_path)
    text = page.read_text()
    assert page == tmp_path / manifest.report
    assert text.count("Left out: the release also holds 40 events of a store; name it with --events.") == 3
    assert recall in text
    assert "EASE" not in text

    write_report(load(tmp_path, None, dataset), tmp_path)  # the second report takes the place of the first
    text = page.read_text()
    assert "Left out" not in text
    assert (
        text.count(recall) >= 4
    )  # the figure, its difference from the release before, the comparison, the repeated fit
    assert f"Compared with release {before}" in text
    for part in ('name="viewport"', "EASE", "&lt;i&gt;Movie", "Published"):
        assert part in text, part
    assert set(re.findall(r'href="#(\w+)"', text)) >= set(re.findall(r'<h2 id="(\w+)"', text))
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!#)', text)  # nothing is fetched
    assert page.stat().st_size < 2_000_000

    logs = tmp_path / "reports" / f"{release.name}-tensorboard"
    assert len((logs / "embeddings.tsv").read_text().splitlines()) == manifest.num_trained_movies
    assert len((logs / "metadata.tsv").read_text().splitlines()) == manifest.num_trained_movies + 1
    assert 'tensor_path: "embeddings.tsv"' in (logs / "projector_config.pbtxt").read_text()
    values = events_of(logs)
    assert len(values["loss per liked movie"]) == SMALL.epochs
    assert values["loss per liked movie"][-1] < values["loss per liked movie"][0]
    assert values["recall_at_20"] == pytest.approx([metrics_of(manifest)["recall@20"]])


@pytest.mark.parametrize("temperature", [None, 0.2])
def test_a_report_has_the_figures_of_the_release(temperature: float | None, tmp_path: Path) -> None:
    """The repeated evaluation reaches the manifest's metrics, whether the temperature was chosen or the default."""
    dataset = dataset_of(tastes(users=120, movies=2000, each=60))
    train(dataset, 3.5, replace(SMALL, temperature=temperature), tmp_path, force=True)
    release = load(tmp_path, None, dataset)
    fitted = release.manifest.hyperparameters.temperature
    assert temperature in (None, fitted)
    assert release.hyperparameters == replace(SMALL, temperature=fitted)
    assert measure(release).metrics == pytest.approx(metrics_of(release.manifest))


def test_a_release_of_other_data_or_none_is_an_error(tmp_path: Path) -> None:
    """A report needs a release, and the data set that the release was made of."""
    dataset = dataset_of(tastes())
    with pytest.raises(DataError, match="expected release of any version, found none"):
        load(tmp_path, None, dataset)
    train(dataset, 3.5, SMALL, tmp_path, force=True)
    other = Dataset(dataset.name, dataset.ratings, dataset.movies, fingerprint="f" * 64)
    with pytest.raises(DataError, match="was trained on hand-made with fingerprint 000000000000"):
        load(tmp_path, None, other)
