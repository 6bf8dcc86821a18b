"""The manifest of a release in a bucket: what is to be downloaded, before anything of it is trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from google.protobuf import json_format

from object_storage.bucket import Bucket
from object_storage.download import DamagedRelease
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.layout import MANIFEST, MAX_MANIFEST_BYTES, RELEASES, SIGNATURE
from protos.release.v1.signature import is_signed, read_keys


@dataclass(frozen=True)
class StoredManifest:
    """A manifest that was checked.

    small_files: itself and its signature, if there is one; by name.
    release, model: the other files of the release, and those of its model.
    """

    small_files: dict[str, bytes]
    release: tuple[pb.File, ...]
    model: tuple[pb.File, ...]


def read_manifest(bucket: Bucket, version: int, verify_key_file: Path | None) -> StoredManifest:
    """Read the manifest of a release, and check what a download relies on.

    verify_key_file: if there is one, one of its keys must have signed the manifest.
    Raises DamagedRelease, and ObjectStorageError if the store cannot be asked.
    """
    path, signature_path = f"{RELEASES}/{version}/{MANIFEST}", f"{RELEASES}/{version}/{SIGNATURE}"
    size = bucket.size(path)
    if size is None or size > MAX_MANIFEST_BYTES:
        raise DamagedRelease(f"{bucket.url}/{path}: expected at most {MAX_MANIFEST_BYTES} bytes, got {size}")
    small_files = {MANIFEST: bucket.read(path)}
    if bucket.size(signature_path) is not None:
        small_files[SIGNATURE] = bucket.read(signature_path, 0, 200)
    try:
        if verify_key_file is not None:
            _expect_signature(small_files, verify_key_file)
        manifest = json_format.Parse(small_files[MANIFEST].decode(), pb.Manifest(), ignore_unknown_fields=True)
        if manifest.version != version:
            raise ValueError(f"expected version {version}, got {manifest.version}")
        if not manifest.model_files:
            raise ValueError("expected model_files, got none")
        for file in (*manifest.files, *manifest.model_files):
            _expect_safe(file)
    except (OSError, ValueError, json_format.ParseError) as error:
        raise DamagedRelease(f"{bucket.url}/{path}: {' '.join(str(error).split())[:200]}") from error
    return StoredManifest(small_files, tuple(manifest.files), tuple(manifest.model_files))


def _expect_signature(small_files: dict[str, bytes], key_file: Path) -> None:
    signature = small_files.get(SIGNATURE, b"").decode("ascii", "replace").strip()
    if not is_signed(small_files[MANIFEST], signature, read_keys(key_file)):
        raise ValueError(f"expected a signature with a key of {key_file}, got {signature[:40]!r}")


def _expect_safe(file: pb.File) -> None:
    """Check that a file stays inside the folder it belongs to. Raises ValueError."""
    parts = PurePosixPath(file.name).parts
    if not parts or "/".join(parts) != file.name or {"/", ".."} & {*parts} or "\0" in file.name:
        raise ValueError(f"expected the name of a file below the release's folder, got {file.name[:40]!r}")
    if not re.fullmatch("[0-9a-f]{64}", file.sha256) or file.size < 0:
        raise ValueError(f"{file.name[:40]}: expected sha256 and size, got {file.sha256[:40]!r} and {file.size}")
