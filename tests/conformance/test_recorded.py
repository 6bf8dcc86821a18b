"""Recorded calls of a real TensorFlow Serving, made again."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from tests.conformance.prepared import LABELS, model_config, models_config
from tests.conformance.target import Target, without_nodes

# Two operations of its model fail at once, and TensorFlow tells of the one that fails first.
EITHER_MESSAGE = "mixed dtypes, different lengths"


@pytest.mark.skipif("TF_SERVING_GOLDEN" not in os.environ, reason="TF_SERVING_GOLDEN names no folder of recorded calls")
def test_recorded_calls_are_answered_as_they_were(target: Target, folder: Path) -> None:
    """Code, message and response of every call are those of the recording."""
    golden = Path(os.environ["TF_SERVING_GOLDEN"]).resolve()
    lookup, mixed = (model_config(name, golden / "models" / name) for name in ("lookup", "mixed"))
    all_versions = "model_version_policy { all {} }"
    target.reload(*models_config(folder), f"{lookup} {all_versions}", mixed)
    target.reload(*models_config(folder), f"{lookup} {all_versions} {LABELS}", mixed)
    cases = [json.loads(line) for line in (golden / "cases.jsonl").read_text().splitlines()]
    wrong = [case["name"] for case in cases if not _agrees(target.channel, case)]
    target.reload(*models_config(folder))
    assert len(cases) >= 60
    assert wrong == []


def _agrees(channel: grpc.Channel, case: dict[str, Any]) -> bool:
    """Whether the server answers the recorded request as it was answered then."""
    try:
        call: Any = channel.unary_unary(case["method"])
        answer, code, message = call(base64.b64decode(case["request"]), timeout=60), "OK", ""
    except grpc.RpcError as error:
        if not isinstance(error, grpc.Call):
            raise
        answer, code, message = b"", error.code().name, error.details() or ""
    if code != case["code"]:
        return False
    if case["name"] != EITHER_MESSAGE and without_nodes(message) != without_nodes(case["message"]):
        return False
    return code != "OK" or _parsed(case, answer) == _parsed(case, base64.b64decode(case["response"]))


def _parsed(case: dict[str, Any], content: bytes) -> str:
    """The response as text, in which map entries are in order and NaN equals itself."""
    if case["method"].endswith("Predict"):
        return str(predict_pb2.PredictResponse.FromString(content))
    if case["method"].endswith("GetModelStatus"):
        return str(get_model_status_pb2.GetModelStatusResponse.FromString(content))
    response = get_model_metadata_pb2.GetModelMetadataResponse.FromString(content)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    return f"{response.model_spec} {signatures}"
