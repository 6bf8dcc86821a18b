"""Writes a release and publishes it: the user tower for the model server, and everything else for the recommender.

The layout is described in `protos/release/v1/manifest.proto`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from google.protobuf import json_format

from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from trainer.data.dataset import Dataset
from trainer.data.interactions import Interactions, rows_of
from trainer.evaluation.evaluate import Report
from trainer.index.annoy_index import (
    NUM_TREES,
    RECALL_K,
    TARGET_RECALL,
    Calibration,
    build_index,
    calibrate_recommend,
    calibrate_similar_movies,
)
from trainer.model.cosine_softmax import Embeddings
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.similar_movies import similar_movie_vectors
from trainer.model.user_tower import UserTower, save_user_tower
from trainer.release.catalogue import STAGING, locked, models_folder, releases_folder, version_of

NUM_PROBES = 5
NUM_HISTORIES = 500


@dataclass(frozen=True)
class Fitted:
    """One training run, ready to publish.  `known` covers every movie of the data set, rated or not.
    report: of the same settings on a split; None if nothing was evaluated.  forced_despite: why not to publish it."""

    dataset: Dataset
    known: Interactions
    embeddings: Embeddings
    settings: Hyperparameters
    report: Report | None
    forced_despite: Sequence[str] = ()


def publish(fitted: Fitted, artifacts: Path) -> Path:
    """Writes releases/<version> and models/user_embedding/<version> under `artifacts`; returns the release's folder.

    Each appears whole by a rename, with its manifest written last. The release comes first: without its model nobody
    serves it, whereas a model without a release would take an older one's place on the model server. A failure leaves
    what was there.
    """
    releases, models = releases_folder(artifacts), models_folder(artifacts)
    with _new_version(models, releases) as version:
        staged_release, staged_model = releases / f"{STAGING}{version}", models / f"{STAGING}{version}"
        _write_model(fitted, staged_model)
        _write_release(fitted, version, staged_release)
        for folder in (staged_model, staged_release):
            _sync(folder)
        staged_release.rename(releases / str(version))
        staged_model.rename(models / str(version))
        for parent in (releases, models):
            _sync_folder(parent)
    return releases / str(version)


@contextmanager
def _new_version(models: Path, releases: Path) -> Iterator[int]:
    """Claims a number: the UTC time as YYYYMMDDHHMMSS, or one more than the highest ever used if that is not behind it.

    Creating the staging folder is the claim: of two trainers in the same second only one succeeds. A lock on the folder
    tells that its trainer lives. If publishing fails, nothing of it stays.
    """
    for parent in (models, releases):
        parent.mkdir(parents=True, exist_ok=True)
    used = [version_of(folder) or 0 for parent in (models, releases) for folder in parent.iterdir()]
    version = max(int(datetime.now(UTC).strftime("%Y%m%d%H%M%S")), *(v + 1 for v in used), 0)
    while True:
        try:
            (releases / f"{STAGING}{version}").mkdir()
            break
        except FileExistsError:
            version += 1
    with locked(releases / f"{STAGING}{version}"):
        try:
            yield version
        except BaseException:
            for folder in (releases / f"{STAGING}{version}", releases / str(version), models / f"{STAGING}{version}"):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _write_model(fitted: Fitted, folder: Path) -> None:
    known, embeddings = fitted.known, fitted.embeddings
    trained = known.movie_ids[: known.num_trained_movies]
    tower = UserTower(known.user_ids, embeddings.users, trained, embeddings.movies, embeddings.temperature)
    save_user_tower(tower, layout.MODEL_NAME, folder, known.user_ids, _some_histories(known))


def _some_histories(known: Interactions) -> list[np.ndarray]:
    """What some users like, int64 movie ids each: for the model server to warm up with."""
    liked = known.positives
    somebody = np.flatnonzero(np.diff(liked.indptr))  # who likes something
    rows = np.random.default_rng(0).choice(somebody, min(NUM_HISTORIES, len(somebody)), replace=False)
    return [known.movie_ids[liked.indices[liked.indptr[row] : liked.indptr[row + 1]]] for row in rows]


def _write_release(fitted: Fitted, version: int, folder: Path) -> None:
    known, embeddings, watched = fitted.known, fitted.embeddings, fitted.known.watched
    index = build_index(embeddings.movies, folder / layout.EMBEDDINGS_INDEX)
    np.save(folder / layout.EMBEDDINGS, embeddings.movies)
    table = _movie_table(fitted)
    similar = similar_movie_vectors(embeddings.movies, table)
    similar_trained = similar[: known.num_trained_movies]
    similar_index = build_index(similar_trained, folder / layout.SIMILAR_MOVIES_INDEX)
    np.save(folder / layout.SIMILAR_MOVIES, similar)
    table.to_csv(folder / layout.MOVIES, index=False, encoding="utf-8", lineterminator="\n")
    np.save(folder / layout.USER_IDS, known.user_ids)
    np.save(folder / layout.WATCHED_INDPTR, watched.indptr.astype(np.int64))
    np.save(folder / layout.WATCHED_ROWS, watched.indices.astype(np.int32))
    np.save(folder / layout.WATCHED_POSITIVE, known.liked)
    manifest = pb.Manifest(
        format_version=layout.FORMAT_VERSION,
        model_name=layout.MODEL_NAME,
        version=version,
        embedding_dim=embeddings.movies.shape[1],
        num_users=len(known.user_ids),
        num_movies=len(known.movie_ids),
        num_trained_movies=known.num_trained_movies,
        num_ratings=watched.nnz,
        dataset=pb.Dataset(
            name=fitted.dataset.name, fingerprint=fitted.dataset.fingerprint, generated=fitted.dataset.generated
        ),
        hyperparameters=pb.Hyperparameters(
            epochs=fitted.settings.epochs,
            batch_size=fitted.settings.batch_size,
            learning_rate=fitted.settings.learning_rate,
            temperature=embeddings.temperature,
            positive_threshold=known.positive_threshold,
            seed=fitted.settings.seed,
            watched_weight=fitted.settings.watched_weight,
            recency=fitted.settings.recency,
        ),
        index=pb.Index(
            num_trees=NUM_TREES,
            recall_k=RECALL_K,
            target_recall=TARGET_RECALL,
            recommend=_calibration(calibrate_recommend(index, embeddings, known)),
            similar_movies=_calibration(calibrate_similar_movies(similar_index, similar_trained, known)),
        ),
        evaluations=_evaluations(fitted.report),
        files=[_file(path) for path in sorted(folder.iterdir())],
        probes=_probes(known.user_ids, embeddings.users),
        forced_despite=fitted.forced_despite,
        report=f"reports/{version}.html",
    )
    (folder / layout.MANIFEST).write_text(
        json_format.MessageToJson(manifest, preserving_proto_field_name=True, indent=1) + "\n", encoding="utf-8"
    )


def _movie_table(fitted: Fitted) -> pd.DataFrame:
    """movie_id, title, year, genres, popularity in row order."""
    movies = fitted.dataset.movies
    table = movies.iloc[rows_of(movies["movie_id"].to_numpy(), fitted.known.movie_ids)]
    return table.assign(popularity=fitted.known.popularity)[list(layout.MOVIE_COLUMNS)]


def _evaluations(report: Report | None) -> list[pb.Evaluation]:
    if report is None:
        return []
    return [
        pb.Evaluation(
            ranking=ranking,
            metrics=scores.means,
            standard_errors=scores.standard_errors,
            num_users=len(report.task.user_ids),
        )
        for ranking, scores in report.scores.items()
    ]


def _calibration(calibration: Calibration) -> pb.Calibration:
    return pb.Calibration(
        search_k=calibration.chosen.search_k,
        recall=calibration.chosen.recall,
        curve=[pb.CurvePoint(search_k=e.search_k, recall=e.recall, latency_us=e.latency_us) for e in calibration.curve],
    )


def _probes(user_ids: np.ndarray, users: np.ndarray) -> list[pb.Probe]:
    """Users spread over the table, and id 0, which no data set has, for what unknown users get."""
    rows = np.unique(np.linspace(0, len(user_ids) - 1, NUM_PROBES).astype(int))
    unknown = pb.Probe(user_id=0, embedding=np.zeros(users.shape[1], np.float32))
    return [*(pb.Probe(user_id=int(user_ids[r]), embedding=users[r]) for r in rows), unknown]


def _file(path: Path) -> pb.File:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return pb.File(name=path.name, sha256=digest, size=path.stat().st_size)


def _sync(folder: Path) -> None:
    """Flushes every file and folder below `folder` to disk, so that a rename never outlives its contents."""
    for root, _, names in os.walk(folder):
        for name in names:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        _sync_folder(Path(root))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
