"""Builds and writes the manifest of a release; `protos/release/v1/manifest.proto` says what each field means."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from google.protobuf import json_format

from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from trainer.evaluation.evaluate import Evaluation
from trainer.index.annoy_index import NUM_TREES, RECALL_K
from trainer.index.calibration import TARGET_RECALL, Calibration
from trainer.release.catalogue import REPORTS
from trainer.release.files import Calibrations
from trainer.release.fitted import Fitted

NUM_PROBES = 5
UNKNOWN_USER = 0  # no data set has this user id


def write_manifest(fitted: Fitted, version: int, calibrations: Calibrations, folder: Path) -> None:
    """Write the manifest of a release whose other files are in `folder` already."""
    manifest = pb.Manifest(
        format_version=layout.FORMAT_VERSION,
        model_name=layout.MODEL_NAME,
        version=version,
        embedding_dim=fitted.embeddings.movies.shape[1],
        num_users=len(fitted.known.user_ids),
        num_movies=len(fitted.known.movie_ids),
        num_trained_movies=fitted.known.num_trained_movies,
        num_ratings=fitted.known.watched.nnz,
        dataset=pb.Dataset(
            name=fitted.dataset.name, fingerprint=fitted.dataset.fingerprint, generated=fitted.dataset.generated
        ),
        hyperparameters=_hyperparameters(fitted),
        index=pb.Index(
            num_trees=NUM_TREES,
            recall_k=RECALL_K,
            target_recall=TARGET_RECALL,
            recommend=_calibration(calibrations.recommend),
            similar_movies=_calibration(calibrations.similar_movies),
        ),
        evaluations=_evaluations(fitted.evaluation),
        files=[_file(path) for path in sorted(folder.iterdir())],
        probes=_probes(fitted.known.user_ids, fitted.embeddings.users),
        forced_despite=fitted.forced_despite,
        report=f"{REPORTS}/{version}.html",
    )
    (folder / layout.MANIFEST).write_text(
        json_format.MessageToJson(manifest, preserving_proto_field_name=True, indent=1) + "\n", encoding="utf-8"
    )


def _hyperparameters(fitted: Fitted) -> pb.Hyperparameters:
    """Return the hyperparameters with the temperature that the fit on all ratings used."""
    return pb.Hyperparameters(
        epochs=fitted.hyperparameters.epochs,
        batch_size=fitted.hyperparameters.batch_size,
        learning_rate=fitted.hyperparameters.learning_rate,
        temperature=fitted.embeddings.temperature,
        positive_threshold=fitted.known.positive_threshold,
        seed=fitted.hyperparameters.seed,
        watched_weight=fitted.hyperparameters.watched_weight,
        recency=fitted.hyperparameters.recency,
    )


def _evaluations(evaluation: Evaluation | None) -> list[pb.Evaluation]:
    """Return one message per ranking; none if nothing was evaluated."""
    if evaluation is None:
        return []
    return [
        pb.Evaluation(
            ranking=ranking,
            metrics=scores.means,
            standard_errors=scores.standard_errors,
            num_users=len(evaluation.task.user_ids),
        )
        for ranking, scores in evaluation.scores.items()
    ]


def _calibration(calibration: Calibration) -> pb.Calibration:
    return pb.Calibration(
        search_k=calibration.chosen.search_k,
        recall=calibration.chosen.recall,
        curve=[pb.CurvePoint(search_k=e.search_k, recall=e.recall, latency_us=e.latency_us) for e in calibration.curve],
    )


def _probes(user_ids: np.ndarray, users: np.ndarray) -> list[pb.Probe]:
    """Return probes of some users, spread evenly over the table, and of one user that the release does not know."""
    rows = np.unique(np.linspace(0, len(user_ids) - 1, NUM_PROBES).astype(int))
    unknown = pb.Probe(user_id=UNKNOWN_USER, embedding=np.zeros(users.shape[1], np.float32))
    return [*(pb.Probe(user_id=int(user_ids[r]), embedding=users[r]) for r in rows), unknown]


def _file(path: Path) -> pb.File:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return pb.File(name=path.name, sha256=digest, size=path.stat().st_size)
