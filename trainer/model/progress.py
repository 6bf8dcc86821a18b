"""How far a fit is, and the bar that shows it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

LINE_EVERY_S = 60.0  # where a bar cannot be drawn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """What is being done, and how many of its steps are done.

    loss: the mean loss per liked movie in this epoch so far; None outside of training.
    epoch_done: the number of the epoch that this step ends, from 1; None if it ends none.
    """

    doing: str
    done: int
    total: int
    loss: float | None = None
    epoch_done: int | None = None


OnProgress = Callable[[Progress], None]


@contextmanager
def progress_bar(title: str) -> Iterator[OnProgress]:
    """Show a bar for each thing that is done in turn, with the time it still takes; yield what advances it.

    In a file of logs, where a bar would fill pages, a line a minute is logged instead.
    """
    shown = _Bars(title) if sys.stderr.isatty() else _Lines(title)
    try:
        yield shown.show
    finally:
        shown.close()


class _Bars:
    def __init__(self, title: str) -> None:
        self._title = title
        self._doing = ""
        self._bar: tqdm[Any] | None = None

    def show(self, progress: Progress) -> None:
        if progress.doing != self._doing:
            self.close()
            self._doing = progress.doing
            title = f"{self._title}: {progress.doing}"
            self._bar = tqdm(total=progress.total, initial=progress.done, desc=title, unit="step")
        assert self._bar is not None
        if progress.loss is not None:
            self._bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class _Lines:
    def __init__(self, title: str) -> None:
        self._title = title
        self._doing = ""
        self._first_done = 0  # when the clock started: a fit that goes on does not start at 0
        self._started = self._logged = 0.0

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.doing != self._doing:
            self._doing, self._first_done, self._started, self._logged = progress.doing, progress.done, now, now
        if now - self._logged >= LINE_EVERY_S and self._first_done < progress.done < progress.total:
            self._logged = now
            step_s = (now - self._started) / (progress.done - self._first_done)
            left_s = step_s * (progress.total - progress.done)
            loss = f", loss {progress.loss:.3f}" if progress.loss is not None else ""
            log.info(
                "%s: %s: %d of %d steps, %.0f s left%s",
                self._title,
                progress.doing,
                progress.done,
                progress.total,
                left_s,
                loss,
            )

    def close(self) -> None:
        """Nothing stays open."""
