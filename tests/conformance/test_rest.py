"""The REST API and Prometheus metrics, over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.conformance.moving import Moving
from tests.conformance.prepared import METRICS
from tests.support.saved_models import warmup_record, write_warmup

AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


def call(url: str, body: Any = None) -> tuple[int, Any]:
    """(HTTP status, JSON).  body: None for GET, else POSTed: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=20) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def rows(*values: Any, signature: str = "") -> dict[str, Any]:
    return {"signature_name": signature, "instances": list(values)}


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
        ("types:predict", rows(255, signature="same_uint8"), {"predictions": [255]}),
        ("types:predict", rows(True, False, signature="same_bool"), {"predictions": [True, False]}),
    ],
)
def test_predict_by_row_and_by_column(rest: str, path: str, body: Any, answer: Any) -> None:
    assert call(f"{rest}/v1/models/{path}", body) == (200, answer)


ELEMENT = "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
SECOND = ELEMENT.replace("0", "1")
WRONG_TYPE = "JSON Value: {} Type: {} is not of expected type: int64"


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("nobody:predict", rows(1), 404, "Servable not found for request: Latest(nobody)"),
        ("user/versions/9:predict", rows(1), 404, "Servable not found for request: Specific(user, 9)"),
        (
            "user/versions/99999999999999999999:predict",
            rows(1),
            400,
            "Failed to convert version: 99999999999999999999 to numeric.",
        ),
        ("user/labels/beta:predict", rows(1), 400, "Unrecognized servable version label: beta"),
        ("user:predict", rows(1, signature="no"), 400, 'Serving signature name: "no" not found in signature def'),
        ("user:predict", {"inputs": {"user": [1]}}, 400, "Missing named input: user_id in 'inputs' object."),
        ("user:predict", rows(99), 400, "indices[0] = 99 is not in [0, 10)"),
        ("user:predict", rows("x"), 400, ELEMENT + WRONG_TYPE.format('"x"', "String")),
        ("user:predict", rows(1.5), 400, ELEMENT + WRONG_TYPE.format("1.5", "Number")),
        ("user:predict", rows(True), 400, ELEMENT + WRONG_TYPE.format("true", "True")),
        ("user:predict", rows(None), 400, ELEMENT + WRONG_TYPE.format("null", "Null")),
        (
            "user:predict",
            {"inputs": [[1], [2, 3]]},
            400,
            "Encountered list at unexpected size: 2 at level: 1 expected size: 1",
        ),
        (
            "user:predict",
            {"inputs": [1, [2]]},
            400,
            "Encountered list at unexpected level: 1 expected < 1",
        ),
        (
            "user:predict",
            {"inputs": [[1], 2]},
            400,
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            "user:predict",
            rows(1, [2]),
            400,
            SECOND + "Expecting shape [] but got: [1]",
        ),
        (
            "user:predict",
            rows([1, 2], [3]),
            400,
            SECOND + "Expecting tensor size: 2 but got: 1",
        ),
        (
            "user:predict",
            rows({"user": 1}),
            400,
            "Failed to process element: 0 key: user of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does "
            "not have named input: user",
        ),
        ("user:predict", rows(1, {"user_id": 2}), 400, "Expecting value/list but got object at item 1 of input list"),
        (
            "types:predict",
            rows(1),
            400,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            "types:predict",
            {"inputs": [1]},
            400,
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            "types:predict",
            rows({"b64": "?"}, signature="same_string"),
            400,
            ELEMENT + "Unable to base64 decode",
        ),
        (
            "types:predict",
            rows(1 << 24, signature="same_float32"),
            400,
            ELEMENT + "Cannot convert JSON value: 16777216 to float without loss of precision.",
        ),
        ("types:predict", {"signature_name": "same_float16", "inputs": 1}, 501, "Conversion of JSON Value: 1 to type"),
        (
            "types:predict",
            rows(1, signature="half") | {"inputs": 1},
            400,
            "JSON Value: {",
        ),
        ("user:predict", rows(), 400, "JSON Value: {"),
        ("user:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("user:predict", [], 400, "JSON Value: [] Is not object"),
        ("user:predict", b"{", 400, "JSON Parse error: "),
        ("user:predict", b"", 400, "JSON Parse error: The document is empty"),
        ("user", {}, 400, "Malformed request: POST /v1/models/user"),
        ("user:predict", None, 400, "Malformed request: GET /v1/models/user:predict"),
        ("nobody", None, 404, "Could not find any versions of model nobody"),
        ("user/versions/7", None, 404, "Could not find version 7 of model user"),
        ("nobody/metadata", None, 404, "Servable not found for request: Latest(nobody)"),
        ("../../v2", None, 400, "Malformed request: GET /v1/models/../../v2"),
    ],
)
def test_errors_have_the_code_and_a_message(rest: str, path: str, body: Any, status: int, error: str) -> None:
    got, answer = call(f"{rest}/v1/models/{path}", body)
    assert (got, list(answer)) == (status, ["error"])
    assert answer["error"].startswith(error), answer["error"]


def test_status_of_all_versions_and_of_one(rest: str) -> None:
    both = [{"version": "2", **AVAILABLE}, {"version": "1", **AVAILABLE}]
    assert call(f"{rest}/v1/models/user") == (200, {"model_version_status": both})
    assert call(f"{rest}/v1/models/user/versions/1") == (200, {"model_version_status": both[1:]})


def test_metadata_tells_the_signatures(rest: str) -> None:
    status, answer = call(f"{rest}/v1/models/types/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "types", "signature_name": "", "version": "7"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["half"]["inputs"]["x"]["dtype"] == "DT_DOUBLE"


def scrape(rest: str) -> dict[str, float]:
    """A sample's name with its labels → its value."""
    with urllib.request.urlopen(f"{rest}{METRICS}", timeout=20) as response:
        lines = response.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


def test_metrics_count_requests_and_time_them(rest: str) -> None:
    good = ':tensorflow:serving:request_count{model_name="user",status="OK"}'
    bad = ':tensorflow:serving:request_count{model_name="user",status="INVALID_ARGUMENT"}'
    latency = ':tensorflow:serving:request_latency_{}{{model_name="user",API="Predict",entrypoint="REST"'
    before = scrape(rest)
    for body in (rows(1), rows(2), rows(99)):
        call(f"{rest}/v1/models/user:predict", body)
    after = scrape(rest)
    assert after[good] - before.get(good, 0) == 2
    assert after[bad] - before.get(bad, 0) == 1
    count = latency.format("count") + "}"
    assert after[count] - before.get(count, 0) == 2
    assert after[latency.format("sum") + "}"] > before.get(latency.format("sum") + "}", 0)
    assert after[latency.format("bucket") + ',le="+Inf"}'] == after[count]


def test_metrics_time_the_warm_up(rest: str, moving: Moving) -> None:
    moving.publish(1, lambda folder: write_warmup(folder, warmup_record(3)))
    moving.serve()
    warm = [name for name in scrape(rest) if name.startswith(":tensorflow:serving:model_warmup_latency_count{")]
    assert any(f"{moving.name}/1" in name and 'status="OK"' in name for name in warm)
