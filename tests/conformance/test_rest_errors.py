"""What the REST API answers to requests that are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.rest_calls import call, rows

ELEMENT = "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
SECOND = ELEMENT.replace("0", "1")
WRONG_TYPE = "JSON Value: {} Type: {} is not of expected type: int64"


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("nobody:predict", rows(1), 404, "Servable not found for request: Latest(nobody)"),
        ("user/versions/9:predict", rows(1), 404, "Servable not found for request: Specific(user, 9)"),
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
        ("types:predict", b'{"instances": [1' + b"0" * 400 + b"]}", 400, "JSON Parse error: "),
        ("user:predict", b"", 400, "JSON Parse error: The document is empty"),
        ("user", {}, 400, "Malformed request: POST /v1/models/user"),
        ("user:predict", None, 400, "Malformed request: GET /v1/models/user:predict"),
        ("nobody", None, 404, "Could not find any versions of model nobody"),
        ("user/versions/7", None, 404, "Could not find version 7 of model user"),
        ("nobody/metadata", None, 404, "Servable not found for request: Latest(nobody)"),
        ("../../v2", None, 400, "Malformed request: GET /v1/models/../../v2"),
    ],
)
def test_an_error_has_its_status_and_message(rest: str, path: str, body: Any, status: int, error: str) -> None:
    """The body of the response is an object with the message in `error`."""
    got, answer = call(f"{rest}/v1/models/{path}", body)
    assert (got, list(answer)) == (status, ["error"])
    assert answer["error"].startswith(error), answer["error"]


TOO_LONG = "user/versions/99999999999999999999"


@pytest.mark.parametrize(
    ("path", "body"), [(f"{TOO_LONG}:predict", rows(1)), (TOO_LONG, None), (f"{TOO_LONG}/metadata", None)]
)
def test_a_version_beyond_int64_gets_an_empty_response(rest: str, path: str, body: Any) -> None:
    """The real server answers 400 without any body."""
    assert call(f"{rest}/v1/models/{path}", body) == (400, None)
