"""The progress bar of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def epochs_bar(title: str, epochs: int) -> Iterator[Callable[[int, float], None]]:
    """Show a progress bar over the epochs, with the latest loss; yield the function that advances it.

    That function takes the number of the epoch that has ended and its loss, as `fit` calls `on_epoch`.
    """
    with tqdm(total=epochs, desc=title, unit="epoch") as bar:

        def on_epoch(_epoch: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        yield on_epoch
