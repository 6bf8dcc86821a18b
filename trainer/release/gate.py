"""The gate: what a training run must show before it is published."""

from __future__ import annotations

import math
from pathlib import Path

from trainer.data.dataset import Dataset
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.metrics import standard_error
from trainer.index.calibration import TARGET_RECALL
from trainer.release.catalogue import PublishedRelease, published_releases

TOLERANCE = 0.05  # share of the previous release's figure; runs that differ only in their seed differ by less
SURE = 2.0  # standard errors of a difference
MAX_INDEX_LOSS = 0.01  # share of exact search's figure


def failures(evaluation: Evaluation, previous: PublishedRelease | None, same_events: bool = True) -> list[str]:
    """Return the reasons not to publish, a sentence each; none if the run may be published.

    previous: the last release that passed, if it is of the same files; figures on other data cannot be compared.
    same_events: whether it has the same events. Otherwise the held-out part is another one, and what may be chance is
    allowed for too.
    """
    found = []
    if not evaluation.scores["index"].means[f"recall@{evaluation.k}"]:
        task = evaluation.task
        found.append(
            f"recall@{evaluation.k} is 0: none of {task.num_positives:,} held-out positives is found, and "
            f"{task.num_unknown_positives:,} of them are movies without an embedding: too little to learn from"
        )
    for metric in (f"recall@{evaluation.k}", f"ndcg@{evaluation.k}"):
        found += _failures_of(metric, evaluation)
        found += _failures_beside(metric, evaluation, previous, same_events)
    for calibration in evaluation.calibrations:
        recall = calibration.chosen.recall
        if recall < TARGET_RECALL:
            found.append(f"{recall:.3f} of the nearest movies are found, expected at least {TARGET_RECALL:g}")
    return found


def changed_ids(dataset: Dataset, artifacts: Path) -> list[str]:
    """Return the reasons not to publish that lie in the ids: text where the newest release has numbers, or the reverse.

    Callers that go on sending numbers would reach other users and movies, without an error.
    """
    releases = [release for release in published_releases(artifacts) if release.manifest is not None]
    if not releases or releases[-1].manifest is None:
        return []
    newest = releases[-1].manifest
    kinds = {
        "user": (dataset.user_keys is not None, newest.users_have_keys),
        "movie": (dataset.movie_keys is not None, newest.movies_have_keys),
    }
    words = {True: "text", False: "numbers"}
    return [
        f"{name} ids are {words[are_text]} here and {words[were_text]} in release {newest.version}: calls with numbers "
        "would reach others"
        for name, (are_text, were_text) in kinds.items()
        if are_text != were_text
    ]


def _failures_of(metric: str, evaluation: Evaluation) -> list[str]:
    """Compare one metric of the ranking through the index with popularity and exact search."""
    index, exact, popularity = (evaluation.scores[name] for name in ("index", "exact", "popularity"))
    found = []
    ours = index.means[metric]
    lead = index.per_user[metric] - popularity.per_user[metric]
    if lead.mean() < -standard_error(lead):  # a smaller difference may be chance, above all with few users
        found.append(f"{metric} is {ours:.4f}, and recommending popular movies reaches {popularity.means[metric]:.4f}")
    lost = exact.per_user[metric] - index.per_user[metric]
    if lost.mean() - standard_error(lost) > MAX_INDEX_LOSS * exact.means[metric]:
        found.append(
            f"{metric} is {ours:.4f} through the index and {exact.means[metric]:.4f} with exact search: "
            f"expected to lose at most {MAX_INDEX_LOSS:.0%} and what may be chance, {standard_error(lost):.4f}"
        )
    return found


def _failures_beside(
    metric: str, evaluation: Evaluation, previous: PublishedRelease | None, same_events: bool
) -> list[str]:
    """Compare one metric of the ranking through the index with the previous release's."""
    before = previous.metric(metric) if previous is not None else None
    if previous is None or before is None:
        return []
    ours, least, split = evaluation.scores["index"].means[metric], (1 - TOLERANCE) * before, "on the same split"
    expected = f"expected at least {1 - TOLERANCE:.0%} of it"
    if not same_events:
        least -= SURE * math.hypot(evaluation.scores["index"].standard_errors[metric], previous.standard_error(metric))
        split, expected = "with other events", f"expected at least {least:.4f}, which allows for chance"
    if ours >= least:
        return []
    return [f"{metric} is {ours:.4f}, release {previous.version} reached {before:.4f} {split}: {expected}"]
