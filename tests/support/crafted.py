"""Releases with files of somebody's making, whose checksums are right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EUCLIDEAN_COLUMNS = 4  # int32 n_descendants, float32 a, int32 children[2], before the vector


def rewrite(release: Path, name: str, content: bytes) -> None:
    """Replace a file of a release, and state its size and checksum in the manifest."""
    (release / name).write_bytes(content)

    def change(manifest: dict[str, Any]) -> None:
        (entry,) = [file for file in manifest["files"] if file["name"] == name]
        entry["sha256"], entry["size"] = hashlib.sha256(content).hexdigest(), str(len(content))

    change_manifest(release, change)


def change_manifest(release: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Read the manifest as JSON, change it in place, and write it back."""
    path = release / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def index_nodes(release: Path, vectors: str = "embeddings.npy", index: str = "movies.ann") -> tuple[np.ndarray, int]:
    """The nodes of a euclidean Annoy index over whole vectors, and how many of them are items.

    The nodes are int32[num_nodes, words of a node].
    """
    matrix = np.load(release / vectors)
    nodes = np.fromfile(release / index, np.int32).reshape(-1, EUCLIDEAN_COLUMNS + matrix.shape[1])
    return nodes, int(nodes[-1, 0])
