"""Builds and writes the manifest of a release; `protos/release/v1/manifest.proto` says what each field means."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
from google.protobuf import json_format

from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.signature import sign
from trainer.data.dataset import Dataset, MergedEvents
from trainer.evaluation.evaluate import Evaluation
from trainer.index.annoy_index import METRIC, NUM_TREES, RECALL_K
from trainer.index.calibration import TARGET_RECALL, Calibration
from trainer.release.catalogue import REPORTS
from trainer.release.files import Calibrations
from trainer.release.fitted import Fitted

NUM_PROBES = 5
UNKNOWN_USER = -1  # ids are 0 or more


def write_manifest(
    fitted: Fitted, version: int, calibrations: Calibrations, folder: Path, model: Path, signing_key: bytes | None
) -> None:
    """Write the manifest of a release whose other files are in `folder` already, and sign it if there is a key.

    model: the folder of the release's model, which is complete.
    """
    manifest = pb.Manifest(
        format_version=layout.CURRENT.version,
        model_name=layout.MODEL_NAME,
        version=version,
        embedding_dim=fitted.embeddings.movies.shape[1],
        num_users=len(fitted.known.user_ids),
        num_movies=len(fitted.known.movie_ids),
        num_trained_movies=fitted.known.num_trained_movies,
        num_content_movies=fitted.num_content_movies,
        cold_start=_cold_start(fitted.evaluation),
        num_ratings=fitted.known.watched.nnz,
        dataset=_dataset(fitted.dataset),
        hyperparameters=_hyperparameters(fitted),
        index=pb.Index(
            num_trees=NUM_TREES,
            recall_k=RECALL_K,
            target_recall=TARGET_RECALL,
            metric=METRIC,
            recommend=_calibration(calibrations.recommend),
            newcomers=_calibration(calibrations.newcomers),
            similar_movies=_calibration(calibrations.similar_movies),
        ),
        evaluations=_evaluations(fitted.evaluation),
        files=[_file(folder, name) for name in sorted(layout.CURRENT.files)],
        model_files=[_file(model, name) for name in _names_below(model)],
        probes=_probes(fitted.known.user_ids, fitted.embeddings.users),
        forced_despite=fitted.forced_despite,
        report=f"{REPORTS}/{version}.html",
        users_have_keys=fitted.user_keys is not None,
        movies_have_keys=fitted.movie_keys is not None,
        events=_events(fitted.dataset.events),
    )
    text = json_format.MessageToJson(manifest, preserving_proto_field_name=True, indent=1) + "\n"
    content = text.encode("utf-8")
    if signing_key is not None:
        (folder / layout.SIGNATURE).write_text(sign(content, signing_key) + "\n", encoding="ascii")
    (folder / layout.MANIFEST).write_bytes(content)


def _events(events: MergedEvents | None) -> pb.Events | None:
    if events is None:
        return None
    return pb.Events(store_id=events.store_id, last_event=events.last_event, num_events=events.num_events)


def _dataset(dataset: Dataset) -> pb.Dataset:
    notes = dataset.understood.lines if dataset.understood is not None else ()
    return pb.Dataset(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        generated=dataset.generated,
        split="in time" if dataset.times.usable else f"at random: {dataset.times.words}",
        notes=(*notes, dataset.events.words) if dataset.events is not None else notes,
        implicit=dataset.implicit,
    )


def _hyperparameters(fitted: Fitted) -> pb.Hyperparameters:
    """Return the hyperparameters with the temperature that the fit on all ratings used."""
    return pb.Hyperparameters(
        embedding_dim=fitted.hyperparameters.embedding_dim,
        epochs=fitted.hyperparameters.epochs_for(len(fitted.known.user_ids)),
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
            num_users=evaluation.task.num_users,
        )
        for ranking, scores in evaluation.scores.items()
    ]


def _cold_start(evaluation: Evaluation | None) -> pb.ColdStart | None:
    measured = evaluation.cold_start if evaluation is not None else None
    return pb.ColdStart(**asdict(measured), helps=measured.helps) if measured is not None else None


def _calibration(calibration: Calibration) -> pb.Calibration:
    return pb.Calibration(
        engine=calibration.engine,
        search_k=calibration.index.search_k,
        index_dims=calibration.index_dims,
        scan_dims=calibration.scan.scan_dims,
        scan_candidates=calibration.scan.scan_candidates,
        recall=calibration.chosen.recall,
        recall_loss=calibration.recall_loss,
        ndcg_loss=calibration.ndcg_loss,
        curve=[pb.CurvePoint(**asdict(setting)) for setting in calibration.curve],
    )


def _probes(user_ids: np.ndarray, users: np.ndarray) -> list[pb.Probe]:
    """Return probes of some users, spread evenly over the table, and of one user that the release does not know."""
    rows = np.unique(np.linspace(0, len(user_ids) - 1, NUM_PROBES).astype(int))
    unknown = pb.Probe(user_id=UNKNOWN_USER, embedding=np.zeros(users.shape[1], np.float32))
    return [*(pb.Probe(user_id=int(user_ids[r]), embedding=users[r]) for r in rows), unknown]


def _file(folder: Path, name: str) -> pb.File:
    with (folder / name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return pb.File(name=name, sha256=digest, size=(folder / name).stat().st_size)


def _names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
