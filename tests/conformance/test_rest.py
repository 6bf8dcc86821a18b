"""The REST API: predict, status and metadata."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.rest_calls import call, rows

AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("user:predict", rows(1, 2), {"predictions": [[10, -10], [20, -20]]}),
        ("user:predict", rows({"user_id": 1}), {"predictions": [[10, -10]]}),
        ("user:predict", {"inputs": [3]}, {"outputs": [[30, -30]]}),
        ("user:predict", {"inputs": {"user_id": [3]}}, {"outputs": [[30, -30]]}),
        ("user/versions/1:predict", rows(1), {"predictions": [[1, -1]]}),
        ("user/labels/stable:predict", rows(1), {"predictions": [[1, -1]]}),
        (
            "types:predict",
            rows({"n": 1, "s": "a"}, {"n": -1, "s": {"b64": "Yg=="}}, signature="serving_default"),
            {"predictions": [{"positive": True, "text": "a1"}, {"positive": False, "text": "b-1"}]},
        ),
        ("types:predict", {"inputs": {"n": [1], "s": ["a"]}}, {"outputs": {"positive": [True], "text": ["a1"]}}),
        ("types:predict", {"signature_name": "half", "inputs": 3}, {"outputs": 1.5}),
        ("types:predict", {"signature_name": "half", "inputs": [[1, 2.5]]}, {"outputs": [[0.5, 1.25]]}),
        ("types:predict", rows([0.1, 2], signature="same_float32"), {"predictions": [[0.1, 2.0]]}),
        ("types:predict", rows(1 << 24, signature="same_float32"), {"predictions": [16777216.0]}),
        ("types:predict", rows(255, signature="same_uint8"), {"predictions": [255]}),
        ("types:predict", rows(True, False, signature="same_bool"), {"predictions": [True, False]}),
    ],
)
def test_predict_by_row_and_by_column(rest: str, path: str, body: Any, answer: Any) -> None:
    """The response has the form of the request."""
    assert call(f"{rest}/v1/models/{path}", body) == (200, answer)


def test_status_of_all_versions_and_of_one(rest: str) -> None:
    """Without a version in the path, all versions are listed, the highest first."""
    both = [{"version": "2", **AVAILABLE}, {"version": "1", **AVAILABLE}]
    assert call(f"{rest}/v1/models/user") == (200, {"model_version_status": both})
    assert call(f"{rest}/v1/models/user/versions/1") == (200, {"model_version_status": both[1:]})


def test_metadata_has_the_signatures(rest: str) -> None:
    """The metadata name the model, its version, and the inputs of each signature."""
    status, answer = call(f"{rest}/v1/models/types/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "types", "signature_name": "", "version": "7"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["half"]["inputs"]["x"]["dtype"] == "DT_DOUBLE"
