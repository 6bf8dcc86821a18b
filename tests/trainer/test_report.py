"""The page about a release."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import json_format

from protos.release.v1 import manifest_pb2
from tests.support.tastes import SMALL, dataset_of, tastes
from trainer.data.records import DataError
from trainer.model.tensorflow_quietly import tf
from trainer.report.page import load, write_report
from trainer.training import train


def test_a_page_that_stands_alone_and_logs_for_tensorboard(tmp_path: Path) -> None:
    dataset = dataset_of(tastes(users=60, movies=60, each=25))
    dataset.movies["genres"] = ["War|Drama" if movie % 2 else "" for movie in dataset.movies["movie_id"]]
    dataset.movies["title"] = [f"<i>Movie</i> {movie}" for movie in dataset.movies["movie_id"]]
    release = train(dataset, 3.5, SMALL, tmp_path, force=True)
    manifest = json_format.Parse((release / "manifest.json").read_text(), manifest_pb2.Manifest())
    page = write_report(load(tmp_path, None, dataset), tmp_path)
    assert page == tmp_path / manifest.report
    text = page.read_text()
    for section in ("Data", "Fit", "Compared", "Similar movies", "The index", "Ten users", "Ten movies", "A map"):
        assert f"<h2>{section}</h2>" in text
    assert "EASE" in text
    assert "&lt;i&gt;Movie" in text
    assert "<script src" not in text  # nothing is fetched
    logs = tmp_path / "reports" / f"{release.name}-tensorboard"
    assert len((logs / "embeddings.tsv").read_text().splitlines()) == manifest.num_trained_movies
    assert len((logs / "metadata.tsv").read_text().splitlines()) == manifest.num_trained_movies + 1
    assert 'tensor_path: "embeddings.tsv"' in (logs / "projector_config.pbtxt").read_text()
    write_report(load(tmp_path, None, dataset), tmp_path)  # again, in place of the first
    (events,) = logs.glob("events.out.tfevents.*")
    values: dict[str, list[float]] = {}
    for event in tf.compat.v1.train.summary_iterator(str(events)):
        for value in event.summary.value:
            values.setdefault(value.tag, []).append(value.simple_value)
    assert len(values["loss per liked movie"]) == SMALL.epochs
    assert values["loss per liked movie"][-1] < values["loss per liked movie"][0]
    measured = next(e for e in manifest.evaluations if e.ranking == "index").metrics
    assert values["recall_at_20"] == pytest.approx([measured["recall@20"]])


def test_a_release_of_other_data_or_none_is_an_error(tmp_path: Path) -> None:
    dataset = dataset_of(tastes())
    with pytest.raises(DataError, match="expected release of any version, found none"):
        load(tmp_path, None, dataset)
    train(dataset, 3.5, SMALL, tmp_path, force=True)
    other = type(dataset)(dataset.name, dataset.ratings, dataset.movies, fingerprint="f" * 64)
    with pytest.raises(DataError, match="was trained on hand-made with fingerprint 000000000000"):
        load(tmp_path, None, other)
