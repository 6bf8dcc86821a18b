"""What a report says of a release from its manifest, and from that of the release before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf import json_format

from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.calibrations import SCAN
from protos.release.v1.layout import published_at
from trainer.release.catalogue import PublishedRelease
from trainer.report.release import LoadedRelease, fitted_dim

OURS = {"exact": "this model, exact search", "index": "this model, as served"}
METRICS = ("recall@", "ndcg@", "hit_rate@", "coverage@")
COUNTS = {
    "ratings": "num_ratings",
    "users": "num_users",
    "movies": "num_movies",
    "movies that somebody liked": "num_trained_movies",
    "movies recommended though nobody liked them": "num_content_movies",
}
LEFT_TO_DATA = ("positive_threshold",)  # is said of the data


@dataclass(frozen=True)
class Change:
    """One line of what differs from the release before. The texts are as they are shown."""

    name: str
    before: str
    now: str
    change: str = ""


@dataclass(frozen=True)
class Figure:
    """A metric of the ranking as served.  popularity: the same of the ranking by popularity."""

    name: str
    value: float
    error: float
    popularity: float


def publication(version: int) -> str:
    """When a release was published, in UTC; its version says it."""
    published = published_at(version)
    return f"{published:%d %B %Y, %H:%M} UTC" if published is not None else "at an unknown time"


def rankings(manifest: pb.Manifest) -> dict[str, dict[str, tuple[float, float]]]:
    """(mean, standard error) by the metric's name, by the name of the ranking; 0 where there is no standard error."""
    return {
        OURS.get(evaluation.ranking, evaluation.ranking): {
            name: (value, evaluation.standard_errors.get(name, 0.0)) for name, value in _in_order(evaluation.metrics)
        }
        for evaluation in manifest.evaluations
    }


def _in_order(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    """The metrics, the most telling one first; a manifest has them in any order."""
    known = [name for start in METRICS for name in sorted(metrics) if name.startswith(start)]
    return [(name, metrics[name]) for name in dict.fromkeys([*known, *sorted(metrics)])]


def figures(manifest: pb.Manifest) -> list[Figure]:
    """The metrics of the ranking as served; none if nothing was evaluated."""
    found = rankings(manifest)
    popular = found.get("popularity", {})
    served = found.get(OURS["index"], {})
    return [Figure(name, value, error, popular.get(name, (0.0, 0.0))[0]) for name, (value, error) in served.items()]


def data(release: LoadedRelease) -> list[tuple[str, str]]:
    """What the release was made of: (name, value)."""
    manifest, threshold = release.manifest, release.positive_threshold
    num_liked = int(release.watched.data.sum())
    rows = [
        ("data set", manifest.dataset.name + (" (GENERATED: its figures mean nothing)" * manifest.dataset.generated)),
        ("fingerprint", manifest.dataset.fingerprint),
        *(("understood", note) for note in manifest.dataset.notes),
        ("held out", manifest.dataset.split or "in time"),
        ("ratings", f"{manifest.num_ratings:,}, of which {num_liked:,} are likes ({threshold:g} and more)"),
        ("users", f"{manifest.num_users:,}"),
        ("movies", f"{manifest.num_movies:,}, of which {manifest.num_trained_movies:,} are liked by somebody"),
    ]
    if manifest.num_content_movies:
        rows.append(
            ("recommended though nobody liked them", f"{manifest.num_content_movies:,} movies, by their content")
        )
    if manifest.events.num_events:
        rows.append(("events", f"{manifest.events.num_events:,}, up to number {manifest.events.last_event:,}"))
    return [*rows, *(("published despite", reason) for reason in manifest.forced_despite)]


def settings(manifest: pb.Manifest) -> dict[str, str]:
    """How the release was fitted and indexed, by name."""
    fitted = json_format.MessageToDict(
        manifest.hyperparameters, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    index = manifest.index
    return {
        **{name: f"{value:.4g}" for name, value in fitted.items() if name not in LEFT_TO_DATA},
        "embedding_dim": f"{fitted_dim(manifest)}",
        "index": f"{index.num_trees} trees, {index.metric or 'angular'}",
        **{
            f"search for {name}": _effort(calibration)
            for name, calibration in (("users", index.recommend), ("newcomers", index.newcomers))
            if calibration.curve
        },
    }


def changes(release: LoadedRelease) -> list[Change]:
    """What differs from the release before: the figures, the sizes, and the settings that are not the same."""
    if release.previous is None or release.previous.manifest is None:
        return []
    before, now = release.previous.manifest, release.manifest
    old, served = ({figure.name: figure for figure in figures(manifest)} for manifest in (before, now))
    found = [
        Change(name, f"{old[name].value:.4f}", f"{figure.value:.4f}", _signed(figure.value - old[name].value, ".4f"))
        for name, figure in served.items()
        if name in old
    ]
    for words, name in COUNTS.items():
        counts = getattr(before, name), getattr(now, name)
        found.append(Change(words, f"{counts[0]:,}", f"{counts[1]:,}", _signed(counts[1] - counts[0], ",")))
    found.append(_size(release.previous, release.found))
    if before.dataset.fingerprint != now.dataset.fingerprint:
        found.append(Change("files of ratings", before.dataset.name, now.dataset.name, "others"))
    old_settings, new_settings = settings(before), settings(now)
    names = [name for name in {**old_settings, **new_settings} if old_settings.get(name) != new_settings.get(name)]
    return found + [Change(name, old_settings.get(name, "–"), new_settings.get(name, "–")) for name in names]


def _size(before: PublishedRelease, now: PublishedRelease) -> Change:
    sizes: Sequence[float] = [release.num_bytes / 1e6 for release in (before, now)]
    return Change(
        "MB on disk, with the model", f"{sizes[0]:.1f}", f"{sizes[1]:.1f}", _signed(round(sizes[1] - sizes[0], 1), "")
    )


def _signed(difference: float, form: str) -> str:
    return f"{difference:+{form}}" if difference else "the same"


def _effort(calibration: pb.Calibration) -> str:
    if calibration.engine == SCAN:
        return f"a scan of {calibration.scan_dims} components, {calibration.scan_candidates} movies ranked exactly"
    return f"Annoy, search_k {calibration.search_k:,}"
