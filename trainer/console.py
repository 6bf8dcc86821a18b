"""What a run shows: progress bars and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from trainer.evaluation import Report


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
    names = list(report.evaluations[0].metrics)
    print(f"\n{'ranking':<12}" + "".join(f"{name:>14}" for name in names))
    for evaluation in report.evaluations:
        print(f"{evaluation.ranking:<12}" + "".join(f"{evaluation.metrics[name]:>14.4f}" for name in names))
    chosen = report.calibration.chosen
    print(
        f"mean over {report.num_users:,} users with {report.num_positives:,} held-out positives; "
        f"index: search_k {chosen.search_k:,}, recall {chosen.recall:.3f}, {chosen.latency_us:.0f} µs per query"
    )
    if report.num_unknown_users:
        print(f"{report.num_unknown_users:,} of the users have no positive to learn from and get the popular movies")
    if report.num_unknown_positives:
        print(f"{report.num_unknown_positives:,} of the positives are movies without an embedding: misses")
    if report.num_repeated:
        print(f"{report.num_repeated:,} test ratings are in the training part too and were left out")
    print(flush=True)
