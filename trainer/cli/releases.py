"""The commands about published releases: `report` and `releases`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from object_storage.bucket import Bucket
from protos.release.v1.canary import Canary
from trainer.cli.inputs import dataset_of, merged_with_events
from trainer.cli.object_storage import synchronised
from trainer.release.bucket_catalogue import prune_bucket, releases_in, roll_back_bucket
from trainer.release.canary import canary_of, name_canary, promote, withdraw
from trainer.release.catalogue import PublishedRelease, published_releases, roll_back
from trainer.release.prune import complete_publishing, prune
from trainer.report.release import load, manifest_of


def report(arguments: argparse.Namespace) -> None:
    """Write the HTML page about a release."""
    synchronised(arguments.artifacts)
    manifest = manifest_of(arguments.artifacts, arguments.release)
    dataset = dataset_of(arguments)
    if manifest.events.store_id:
        dataset = merged_with_events(arguments, dataset, manifest.events.last_event)

    from trainer.report.page import write_report

    page = write_report(load(arguments.artifacts, arguments.release, dataset), arguments.artifacts)
    print(f"wrote {page}: open it in a browser")


def releases(arguments: argparse.Namespace) -> None:
    """List, prune or roll back the published releases: those in the bucket, if ARTIFACTS names one, and then here.

    Or say what becomes of a canary.
    """
    bucket = synchronised(arguments.artifacts)
    if arguments.action in CANARY_ACTIONS:
        print(CANARY_ACTIONS[arguments.action](arguments, bucket))
    elif arguments.action == "prune":
        if bucket is not None:
            print(f"removed from {bucket.url}: {_listed(prune_bucket(bucket, arguments.keep)) or 'nothing'}")
        for version in complete_publishing(arguments.artifacts):
            print(f"completed: {version}, whose trainer was killed while it published")
        pruned = prune(arguments.artifacts, arguments.keep, arguments.force)
        print(f"removed: {_listed(pruned.removed) or 'nothing'}")
        if pruned.in_use:
            print(f"kept, because in use: {_listed(pruned.in_use)}")
        if pruned.unknown:
            print(f"kept, because they may be in use (no file locks, or no permission): {_listed(pruned.unknown)}")
            print("--force removes them too")
    elif arguments.action == "rollback" and canary_of(arguments.artifacts) is not None:
        print(_withdraw(arguments, bucket))
    elif arguments.action == "rollback":
        if bucket is not None:
            withdrawn, newest = roll_back_bucket(bucket)
        else:
            withdrawn, newest = roll_back(arguments.artifacts)
        print(f"withdrew {withdrawn}; the newest release is {newest}")
    else:
        print(f"{'release':<16}{'dataset':<20}{'recall@20':>10}{'ndcg@20':>10}{'MB':>8}  note")
        canary = canary_of(arguments.artifacts)
        for release in releases_in(bucket) if bucket is not None else published_releases(arguments.artifacts):
            print(_line(release, canary))
    if bucket is not None and arguments.action in ("rollback", *CANARY_ACTIONS):
        synchronised(arguments.artifacts)  # the folder here follows


def _canary(arguments: argparse.Namespace, bucket: Bucket | None) -> str:
    canary = Canary(arguments.version, arguments.share)
    name_canary(arguments.artifacts, canary, bucket)
    return f"release {canary.release} serves {100 * canary.share:g}% of the users"


def _promote(arguments: argparse.Namespace, bucket: Bucket | None) -> str:
    return f"promoted {promote(arguments.artifacts, bucket).release}: it serves all users"


def _withdraw(arguments: argparse.Namespace, bucket: Bucket | None) -> str:
    return f"withdrew {withdraw(arguments.artifacts, bucket).release}: the release before it serves all users"


CANARY_ACTIONS = {"canary": _canary, "promote": _promote, "withdraw": _withdraw}


def _listed(versions: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(versions)))


def _line(release: PublishedRelease, canary: Canary | None) -> str:
    dataset = release.manifest.dataset.name if release.manifest else "?"
    metrics = [release.metric(name) for name in ("recall@20", "ndcg@20")]
    shown = "".join(f"{metric:>10.4f}" if metric is not None else f"{'-':>10}" for metric in metrics)
    note = "" if release.has_model else "without a model: not served"
    if canary is not None and canary.release == release.version:
        note = f"canary: serves {100 * canary.share:g}% of the users"
    return f"{release.version:<16}{dataset:<20}{shown}{release.num_bytes / 1e6:>8.1f}  {note}".rstrip()
