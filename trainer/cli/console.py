"""What a run shows: progress bars and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from tqdm import tqdm

from trainer.evaluation.comparison import Entry, paired_difference
from trainer.evaluation.evaluate import Report


@contextmanager
def epochs_bar(title: str, epochs: int) -> Iterator[Callable[[int, float], None]]:
    """A progress bar over epochs that shows the loss; yields what to call after each."""
    with tqdm(total=epochs, desc=title, unit="epoch") as bar:

        def on_epoch(_epoch: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        yield on_epoch


def print_report(report: Report) -> None:
    """The metrics as a table, with what a reader must know to believe it."""
    task, names = report.task, list(report.scores["index"].means)
    print(f"\n{'ranking':<12}" + "".join(f"{name:>14}" for name in names))
    for ranking, scores in report.scores.items():
        print(f"{ranking:<12}" + "".join(f"{scores.means[name]:>14.4f}" for name in names))
    errors = report.scores["index"].standard_errors
    print(f"{'± (s. e.)':<12}" + "".join(f"{errors[name]:>14.4f}" for name in names if name in errors))
    chosen = report.calibration.chosen
    print(
        f"mean over {len(task.user_ids):,} users with {task.held_out.nnz:,} held-out positives; "
        f"index: search_k {chosen.search_k:,}, recall {chosen.recall:.3f}, {chosen.latency_us:.0f} µs per query"
    )
    if not task.is_later:
        print("the test ratings are not later than the training ones: all of a user's history counts alike")
    if report.num_unknown_users:
        print(f"{report.num_unknown_users:,} of the users have no positive to learn from and get the popular movies")
    if task.num_unknown_positives:
        print(f"{task.num_unknown_positives:,} of the positives are movies without an embedding: misses")
    if task.num_repeated:
        print(f"{task.num_repeated:,} test ratings are in the training part too and were left out")
    print(flush=True)


def print_comparison(entries: Iterable[Entry], k: int) -> None:
    """A line as soon as each is known, then how far each is from ours, user by user."""
    print(f"\n{'model':<32}{f'recall@{k}':>17}{f'ndcg@{k}':>17}{'hit_rate@10':>13}{'coverage@10':>13}{'seconds':>9}")
    done = []
    for entry in entries:
        means, errors = entry.scores.means, entry.scores.standard_errors
        figures = "".join(f"{means[name]:>9.4f} ±{errors[name]:.4f} " for name in (f"recall@{k}", f"ndcg@{k}"))
        rest = f"{means['hit_rate@10']:>12.3f}{means['coverage@10']:>13.3f}{entry.seconds:>9.1f}"
        print(f"{entry.name:<32}{figures}{rest}", flush=True)
        done.append(entry)
    print(f"\n{'less than ours, by user':<32}{f'recall@{k}':>17}{f'ndcg@{k}':>17}")
    for entry in done[:-1]:
        differences = [paired_difference(entry, done[-1], name) for name in (f"recall@{k}", f"ndcg@{k}")]
        print(f"{entry.name:<32}" + "".join(f"{mean:>+9.4f} ±{error:.4f} " for mean, error in differences))


def print_similar_movies(figures: Mapping[str, tuple[float, float]]) -> None:
    """Similarity of movies, by where it comes from."""
    print(f"\n{'similar movies by':<32}{'pm_hit_rate@10':>17}{'franchise@10':>17}")
    for name, (pm_hit_rate, franchise) in figures.items():
        print(f"{name:<32}{pm_hit_rate:>17.3f}{franchise:>17.3f}")
    print(flush=True)
