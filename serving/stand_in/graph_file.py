"""Why the graph of a SavedModel cannot be read, in the words of TensorFlow Serving, which reads it in C++."""

from __future__ import annotations

from pathlib import Path

from grpc import StatusCode
from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

BINARY, TEXT = "saved_model.pb", "saved_model.pbtxt"


def why_unreadable(folder: Path) -> tuple[StatusCode, str]:
    """(code, message) for a folder whose graph TensorFlow's Python loader could not read.

    The Python loader reports all damages alike. The C++ reader, which the computation of a fingerprint uses, reports
    OUT_OF_RANGE for a file that ends too early, and DATA_LOSS for other damages.
    """
    if not (folder / BINARY).exists():
        if (folder / TEXT).exists():
            return StatusCode.DATA_LOSS, f"Can't parse {folder / TEXT} as text proto"
        return (
            StatusCode.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {folder}. Check that the "
            "directory exists and that you have the right permissions for accessing it.",
        )
    try:
        fingerprinting.CreateFingerprintDef(str(folder))
    except fingerprinting.FingerprintException as error:
        name, _, message = str(error).splitlines()[-1].partition(": ")  # "OUT_OF_RANGE: Read less bytes than requested"
        return StatusCode[name], message
    return StatusCode.DATA_LOSS, f"Can't parse {folder / BINARY} as binary proto"
