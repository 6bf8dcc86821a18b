"""What a training run must show before it is published."""

from __future__ import annotations

from trainer.data.records import DataError
from trainer.evaluation.evaluate import Report
from trainer.evaluation.metrics import standard_error
from trainer.index.annoy_index import TARGET_RECALL
from trainer.release.catalogue import Published

TOLERANCE = 0.05  # share of the previous release's figure; runs that differ in their seed alone lie within 0.03
MAX_INDEX_LOSS = 0.01  # share of exact search's figure


class GateError(DataError):
    """Nothing was published; the message says which figure failed."""


def failures(report: Report, previous: Published | None) -> list[str]:
    """Why not to publish, a sentence each; empty if all is well.

    previous: the last release that passed, if it is of the same data: another's split cannot be compared.
    """
    found = []
    if not report.scores["index"].means[f"recall@{report.k}"]:
        positives = report.task.held_out.nnz
        found.append(
            f"recall@{report.k} is 0: none of {positives:,} held-out positives is found, and "
            f"{report.task.num_unknown_positives:,} of them are movies without an embedding: too little to learn from"
        )
    for metric in (f"recall@{report.k}", f"ndcg@{report.k}"):
        index, exact, popularity = (report.scores[name] for name in ("index", "exact", "popularity"))
        ours = index.means[metric]
        lead = index.per_user[metric] - popularity.per_user[metric]
        if lead.mean() < -standard_error(lead):  # with few users, a difference within its standard error tells nothing
            found.append(
                f"{metric} is {ours:.4f}, and recommending popular movies reaches {popularity.means[metric]:.4f}"
            )
        if ours < (1 - MAX_INDEX_LOSS) * exact.means[metric]:
            found.append(
                f"{metric} is {ours:.4f} through the index and {exact.means[metric]:.4f} with exact search: "
                f"expected to lose at most {MAX_INDEX_LOSS:.0%}"
            )
        before = previous.metric(metric) if previous is not None else None
        if previous is not None and before is not None and ours < (1 - TOLERANCE) * before:
            found.append(
                f"{metric} is {ours:.4f}, release {previous.version} reached {before:.4f} on the same split: expected "
                f"at least {1 - TOLERANCE:.0%} of it"
            )
    recall = report.calibration.chosen.recall
    if recall < TARGET_RECALL:
        found.append(f"the index's recall is {recall:.3f}, expected at least {TARGET_RECALL:g}")
    return found
