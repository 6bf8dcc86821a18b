"""Which folders the stand-in takes for versions."""

from __future__ import annotations

import threading
from pathlib import Path

from serving.stand_in.model_config import ModelConfig


def test_a_base_path_that_comes_and_goes_is_never_empty(tmp_path: Path) -> None:
    """All versions are found, or none can be read, at whatever moment the base path is renamed."""
    base, elsewhere = tmp_path / "base", tmp_path / "elsewhere"
    for version in range(50):
        (base / str(version)).mkdir(parents=True)
    stop = threading.Event()

    def rename() -> None:
        while not stop.is_set():
            base.rename(elsewhere)
            elsewhere.rename(base)

    renaming = threading.Thread(target=rename)
    renaming.start()
    found: set[int | None] = set()  # None: the base path could not be read
    try:
        for _ in range(1000):
            try:
                found.add(len(ModelConfig("user", base).versions_on_disk()))
            except FileNotFoundError:
                found.add(None)
    finally:
        stop.set()
        renaming.join()
    assert found <= {50, None}
