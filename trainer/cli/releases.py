"""The commands about published releases: `report` and `releases`."""

from __future__ import annotations

import argparse

from trainer.cli.inputs import dataset_of
from trainer.release.catalogue import PublishedRelease, prune, published_releases, roll_back


def report(arguments: argparse.Namespace) -> None:
    """Write the HTML page about a release."""
    dataset = dataset_of(arguments)

    from trainer.report.page import write_report
    from trainer.report.release import load

    page = write_report(load(arguments.artifacts, arguments.release, dataset), arguments.artifacts)
    print(f"wrote {page}: open it in a browser")


def releases(arguments: argparse.Namespace) -> None:
    """List, prune or roll back the published releases."""
    if arguments.action == "prune":
        removed, in_use = prune(arguments.artifacts, arguments.keep)
        print(f"removed: {', '.join(map(str, removed)) or 'nothing'}")
        if in_use:
            print(f"kept, because in use: {', '.join(map(str, in_use))}")
    elif arguments.action == "rollback":
        withdrawn, newest = roll_back(arguments.artifacts)
        print(f"withdrew {withdrawn}; the newest release is {newest}")
    else:
        print(f"{'release':<16}{'dataset':<20}{'recall@20':>10}{'ndcg@20':>10}{'MB':>8}  note")
        for release in published_releases(arguments.artifacts):
            print(_line(release))


def _line(release: PublishedRelease) -> str:
    dataset = release.manifest.dataset.name if release.manifest else "?"
    metrics = [release.metric(name) for name in ("recall@20", "ndcg@20")]
    shown = "".join(f"{metric:>10.4f}" if metric is not None else f"{'-':>10}" for metric in metrics)
    note = "" if release.has_model else "without a model: not served"
    return f"{release.version:<16}{dataset:<20}{shown}{release.num_bytes / 1e6:>8.1f}  {note}".rstrip()
