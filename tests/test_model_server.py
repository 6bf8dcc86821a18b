"""The stand-in answers as TensorFlow Serving does; asked through tensorflow-serving-api's own stubs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.support.errors import failure_of
from tests.support.processes import health_status, served
from tests.support.saved_models import save_lookup, save_mixed

CONFIG = """model_config_list {{
  config {{ name: "lookup" base_path: "{base}/lookup" model_platform: "tensorflow" model_version_policy {{ all {{}} }}
           version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "canary" value: 2 }} }}
  config {{ name: "mixed" base_path: "{base}/mixed" model_platform: "tensorflow" }}
}}"""
INT64, INT32, FLOAT, DOUBLE, STRING = (
    types_pb2.DT_INT64,
    types_pb2.DT_INT32,
    types_pb2.DT_FLOAT,
    types_pb2.DT_DOUBLE,
    types_pb2.DT_STRING,
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base = tmp_path_factory.mktemp("models")
    save_lookup(base / "lookup" / "1")
    save_lookup(base / "lookup" / "2", scale=10)
    save_mixed(base / "mixed" / "7")
    (base / "models.config").write_text(CONFIG.format(base=base))
    flags = [
        "--port=0",
        f"--model_config_file={base}/models.config",
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_grpc_healthcheck_service",
        "--enable_batching",
        "--max_num_load_retries=0",
    ]
    with served([sys.executable, "-m", "serving", *flags], base / "log", {}) as server:
        yield server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]
        assert "without effect in this stand-in: --enable_batching" in server.text()


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield channel


def tensor(dtype: int, shape: list[int], **values: Any) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    return proto


def ids(*user_ids: int) -> dict[str, tensor_pb2.TensorProto]:
    return {"user_id": tensor(INT64, [len(user_ids)], int64_val=user_ids)}


def predict(
    channel: grpc.Channel,
    inputs: dict[str, tensor_pb2.TensorProto],
    model: str | None = "lookup",
    version: int | None = None,
    label: str = "",
    signature: str = "",
    outputs: tuple[str, ...] = (),
) -> predict_pb2.PredictResponse:
    request = predict_pb2.PredictRequest(output_filter=outputs)
    if model is not None:
        request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    if signature:
        request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(value)
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10)


RAW_IDS = np.array([1, 2], "<i8").tobytes()


@pytest.mark.parametrize(
    ("value", "shape", "first_column"),
    [
        (tensor(INT64, [1], int64_val=[3]), [1, 2], [30]),
        (tensor(INT64, [2], tensor_content=RAW_IDS), [2, 2], [10, 20]),
        (tensor(INT64, [3], int64_val=[4, 5]), [3, 2], [40, 50, 50]),
        (tensor(INT64, [2]), [2, 2], [0, 0]),
        (tensor(INT64, [1], int64_val=[1, 2, 3]), [1, 2], [10]),
        (tensor(INT64, [], int64_val=[7]), [2], [70]),
        (tensor(INT64, [1, 2], int64_val=[7, 8]), [1, 2, 2], [70, 80]),
        (tensor(INT64, [0]), [0, 2], []),
        (tensor(INT64, [2], int64_val=[9, 9], tensor_content=RAW_IDS), [2, 2], [10, 20]),
    ],
    ids=["typed", "raw", "last repeats", "none is zeros", "surplus is cut", "scalar", "rank 2", "empty", "raw wins"],
)
def test_inputs_are_read_by_tensorflows_rules(
    channel: grpc.Channel, value: tensor_pb2.TensorProto, shape: list[int], first_column: list[float]
) -> None:
    response = predict(channel, {"user_id": value})
    answer = response.outputs["user_embedding"]
    assert [dim.size for dim in answer.tensor_shape.dim] == shape
    assert list(answer.float_val)[::2] == first_column
    assert not answer.tensor_content
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("lookup", 2, "serving_default")


@pytest.mark.parametrize(
    ("choice", "version"), [({"version": 1}, 1), ({"label": "stable"}, 1), ({"label": "canary"}, 2)]
)
def test_versions_and_labels_are_resolved_and_echoed_as_numbers(
    channel: grpc.Channel, choice: dict[str, Any], version: int
) -> None:
    response = predict(channel, ids(3), **choice)
    assert response.model_spec.version.value == version
    assert not response.model_spec.version_label
    assert response.outputs["user_embedding"].float_val[0] == 3 * 10 ** (version - 1)


def test_other_dtypes_signatures_and_output_filters(channel: grpc.Channel) -> None:
    inputs = {"n": tensor(INT32, [2], int_val=[3, -1]), "s": tensor(STRING, [2], string_val=["Zürich".encode(), b""])}
    response = predict(channel, inputs, model="mixed")
    assert list(response.outputs["text"].string_val) == ["Zürich3".encode(), b"-1"]
    assert list(response.outputs["positive"].bool_val) == [True, False]
    assert list(predict(channel, inputs, model="mixed", outputs=("positive",)).outputs) == ["positive"]
    half = predict(channel, {"x": tensor(DOUBLE, [1, 2], double_val=[1.0, float("inf")])}, "mixed", signature="half")
    assert list(half.outputs["y"].double_val) == [0.5, float("inf")]


MISSING = (
    "input size does not match signature: 0!=1 len({}) != len({user_id}). "
    "Sent extra: {}. Missing but required: {user_id}."
)
EXTRA = (
    "input size does not match signature: 2!=1 len({extra,user_id}) != len({user_id}). Sent extra: {extra}. "
    "Missing but required: {}."
)
WRONG_NAME = (
    "Signature input alias: user_id(feed name: serving_default_user_id:0) not found in request and no default value "
    "provided. Inputs expected to be in the request {uid}, or default input alias set: "
)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"model": None}, "INVALID_ARGUMENT", "Missing ModelSpec"),
        ({"model": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ({"model": "nobody"}, "NOT_FOUND", "Servable not found for request: Latest(nobody)"),
        ({"model": "nobody", "version": 1}, "NOT_FOUND", "Servable not found for request: Specific(nobody, 1)"),
        ({"version": 99}, "NOT_FOUND", "Servable not found for request: Specific(lookup, 99)"),
        ({"version": 0}, "NOT_FOUND", "Servable not found for request: Specific(lookup, 0)"),
        ({"label": "beta"}, "INVALID_ARGUMENT", "Unrecognized servable version label: beta"),
        ({"signature": "nope"}, "FAILED_PRECONDITION", 'Serving signature key "nope" not found.'),
        ({"version": 99, "signature": "nope"}, "NOT_FOUND", "Servable not found for request: Specific(lookup, 99)"),
        ({"inputs": {}}, "INVALID_ARGUMENT", MISSING),
        ({"inputs": {}, "outputs": ("zzz",)}, "INVALID_ARGUMENT", MISSING),
        ({"inputs": {**ids(3), "extra": tensor(INT64, [1])}}, "INVALID_ARGUMENT", EXTRA),
        ({"inputs": {"uid": tensor(INT64, [1])}}, "INVALID_ARGUMENT", WRONG_NAME),
        (
            {"inputs": {"user_id": tensor(INT32, [1], int_val=[3])}},
            "INVALID_ARGUMENT",
            "Expects arg[0] to be int64 but int32 is provided",
        ),
        (
            {"inputs": {"user_id": tensor(FLOAT, [1], float_val=[3])}},
            "INVALID_ARGUMENT",
            "Expects arg[0] to be int64 but float is provided",
        ),
        ({"inputs": {"user_id": tensor(INT64, [-1])}}, "INVALID_ARGUMENT", "tensor parsing error: user_id"),
        ({"inputs": {"user_id": tensor(0, [1])}}, "INVALID_ARGUMENT", "tensor parsing error: user_id"),
        ({"inputs": {"user_id": tensor(INT64, [1 << 40])}}, "INVALID_ARGUMENT", "tensor parsing error: user_id"),
        (
            {"inputs": {"user_id": tensor(INT64, [2], tensor_content=b"12345")}},
            "INVALID_ARGUMENT",
            "tensor parsing error: user_id",
        ),
        (
            {"outputs": ("zzz",)},
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: zzz Outputs expected to be in the set {user_embedding}.",
        ),
        (
            {"outputs": ("user_embedding", "user_embedding")},
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: user_embedding",
        ),
        ({"label": "x" * 2000}, "INVALID_ARGUMENT", f"Unrecognized servable version label: {'x' * 987}...TRUNCATED"),
    ],
)
def test_errors_of_predict_are_tensorflow_servings(
    channel: grpc.Channel, arguments: dict[str, Any], code: str, message: str
) -> None:
    failure = failure_of(lambda: predict(channel, **{"inputs": ids(3), **arguments}))
    assert (failure.code, failure.message) == (code, message)


def test_an_error_of_the_graph_names_the_node(channel: grpc.Channel) -> None:
    failure = failure_of(lambda: predict(channel, ids(1, 5000)))
    assert failure.code == "INVALID_ARGUMENT"
    assert re.fullmatch(r"indices\[1\] = 5000 is not in \[0, 10\)\n\t \[\[.*\]\]", failure.message)


def test_metadata_is_the_map_of_signatures(channel: grpc.Channel) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "lookup"
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    response = stub.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert response.model_spec.version.value == 2
    assert signatures.signature_def["serving_default"].inputs["user_id"].dtype == INT64
    del request.metadata_field[:]
    failure = failure_of(lambda: stub.GetModelMetadata(request))
    assert failure.message == "GetModelMetadataRequest must specify at least one metadata_field"
    request.metadata_field.append("graph")
    assert failure_of(lambda: stub.GetModelMetadata(request)).message == "Metadata field graph is not supported"


def test_status_lists_the_versions_highest_first(channel: grpc.Channel) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    assert failure_of(lambda: stub.GetModelStatus(request)).message == "Missing ModelSpec"
    request.model_spec.name = "nobody"
    failure = failure_of(lambda: stub.GetModelStatus(request))
    assert (failure.code, failure.message) == ("NOT_FOUND", "Could not find any versions of model nobody")
    request.model_spec.name = "lookup"
    assert [status.version for status in stub.GetModelStatus(request).model_version_status] == [2, 1]
    request.model_spec.version.value = 99
    assert failure_of(lambda: stub.GetModelStatus(request)).message == "Could not find version 99 of model lookup"


def test_reflection_describes_the_services(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= set(database.get_services())
    file = database.FindFileContainingSymbol("tensorflow.serving.PredictionService")
    assert "Predict" in {method.name for method in file.service[0].method}


def test_health_of_the_server_and_its_services(address: str) -> None:
    services = ("", "ModelService", "PredictionService", "nobody")
    assert [health_status(address, name) for name in services] == ["SERVING", "SERVING", "SERVING", "NOT_FOUND"]
