"""A file that pyarrow reads while a bar shows how far it is."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from trainer.data.lent_bytes import LentBytes
from trainer.stages import BAR


class ShownFile:
    """What `pyarrow.input_stream` takes as a file of Python."""

    mode = "rb"

    def __init__(self, path: Path, doing: str) -> None:
        self._file = path.open("rb", buffering=0)
        self._bar = tqdm(total=path.stat().st_size, desc=doing, unit="B", unit_scale=True, **BAR)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._file.closed

    def read(self, size: int) -> LentBytes:
        """Read at most so many bytes, and move the bar on."""
        chunk = LentBytes(size)
        del chunk[self._file.readinto(chunk) :]
        self._bar.update(len(chunk))
        return chunk

    def close(self) -> None:
        """Close the file and the bar."""
        self._file.close()
        self._bar.close()
