"""The tables that commands print about evaluations and comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from protos.release.v1.calibrations import ANNOY
from trainer.evaluation.cold_start import ColdStart
from trainer.evaluation.comparison import Entry, paired_difference
from trainer.evaluation.evaluate import Evaluation
from trainer.index.calibration import Calibration


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the metrics as a table, followed by what a reader must know to interpret them."""
    task, names = evaluation.task, list(evaluation.scores["index"].means)
    print(f"\n{'ranking':<12}" + "".join(f"{name:>14}" for name in names))
    for ranking, scores in evaluation.scores.items():
        print(f"{ranking:<12}" + "".join(f"{scores.means[name]:>14.4f}" for name in names))
    errors = evaluation.scores["index"].standard_errors
    print(f"{'± (s. e.)':<12}" + "".join(f"{errors[name]:>14.4f}" for name in names if name in errors))
    sampled = f"a random {task.num_users:,} of {task.num_eligible:,}"
    users = f"{task.num_users:,}" if task.num_users == task.num_eligible else sampled
    print(f"mean over {users} users with {task.num_positives:,} held-out positives")
    for kind, calibration in zip(("users", "newcomers"), evaluation.calibrations, strict=False):
        print(f"{kind} are answered through {_described(calibration)}")
    if not task.is_later:
        print("the test ratings are not later than the training ratings, so all ratings of a user count alike")
    if evaluation.num_unknown_users:
        print(f"{evaluation.num_unknown_users:,} users have no positive in the training part; they get popular movies")
    if task.num_unknown_positives:
        print(f"{task.num_unknown_positives:,} held-out positives are of movies without an embedding; they are misses")
    if task.num_repeated:
        print(f"{task.num_repeated:,} test ratings were left out, because the training part has them too")
    if evaluation.cold_start is not None:
        print(_cold_start(evaluation.cold_start))
    print(flush=True)


def _cold_start(measured: ColdStart) -> str:
    """Return what was measured of movies that nobody liked, and whether they are recommended."""
    verdict = "they may be recommended" if measured.helps else "they are not recommended"
    return (
        f"movies that nobody liked: {measured.num_movies:,} movies held out whole, recall@{measured.k} "
        f"{measured.recall:.4f} by genres, year, title and tags, {measured.genre_recall:.4f} by popularity of genres; "
        f"in lists they take {measured.share_of_top_10:.1%} of the first ten places and cost "
        f"{max(measured.ndcg_lost, 0.0):.1%} ± {measured.ndcg_lost_error:.1%} of ndcg@20: {verdict}"
    )


def _described(calibration: Calibration) -> str:
    """Return the engine, its effort, and what was measured of it."""
    chosen = calibration.chosen
    if calibration.engine == ANNOY:
        engine = f"the Annoy index, search_k {chosen.search_k:,}"
    else:
        engine = f"a scan of {chosen.scan_dims} components, {chosen.scan_candidates} movies ranked exactly"
    lost = [max(loss, 0.0) for loss in (calibration.recall_loss, calibration.ndcg_loss)]
    losses = "loses {:.1%} of recall@20 and {:.1%} of ndcg@20 to exact search".format(*lost)
    return f"{engine}: {chosen.latency_us:.0f} µs per query, recall@10 {chosen.recall:.3f}, {losses}"


def print_comparison(entries: Iterable[Entry], k: int) -> None:
    """Print a line per entry as soon as it is scored, then each entry's difference from ours, paired by user."""
    print(f"\n{'model':<32}{f'recall@{k}':>17}{f'ndcg@{k}':>17}{'hit_rate@10':>13}{'coverage@10':>13}{'seconds':>9}")
    done = []
    for entry in entries:
        means, errors = entry.scores.means, entry.scores.standard_errors
        figures = "".join(f"{means[name]:>9.4f} ±{errors[name]:.4f} " for name in (f"recall@{k}", f"ndcg@{k}"))
        rest = f"{means['hit_rate@10']:>12.3f}{means['coverage@10']:>13.3f}{entry.seconds:>9.1f}"
        print(f"{entry.name:<32}{figures}{rest}", flush=True)
        done.append(entry)
    print(f"\n{'difference from ours, by user':<32}{f'recall@{k}':>17}{f'ndcg@{k}':>17}")
    for entry in done[:-1]:
        differences = [paired_difference(entry, done[-1], name) for name in (f"recall@{k}", f"ndcg@{k}")]
        print(f"{entry.name:<32}" + "".join(f"{mean:>+9.4f} ±{error:.4f} " for mean, error in differences))


def print_similar_movies(figures: Mapping[str, tuple[float, float]]) -> None:
    """Print the similarity metrics.  figures: (pm_hit_rate@10, franchise@10) by the source of the vectors."""
    print(f"\n{'similar movies by':<32}{'pm_hit_rate@10':>17}{'franchise@10':>17}")
    for name, (pm_hit_rate, franchise) in figures.items():
        print(f"{name:<32}{pm_hit_rate:>17.3f}{franchise:>17.3f}")
    print(flush=True)
