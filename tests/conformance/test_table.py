"""Every row of the table in `cases`, and calls that do not fit into a row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from tests.conformance.cases import CASES, Case
from tests.conformance.requests import metadata, predict, tensor
from tests.conformance.target import Target
from tools.servers import health_status


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_row(target: Target, case: Case) -> None:
    """The server answers the row's request with its code, message and response."""
    if target.folder is None and 'version_label: "' in str(case.request):
        pytest.skip("labels come by a reload, which needs TF_SERVING_FOLDER")
    code, message, response = target.outcome(case.request)
    assert (code, response) == (case.code, "" if case.response is None else str(case.response))
    assert re.fullmatch(case.message, message), message


@pytest.mark.parametrize(("model", "version"), [("user", 2), ("types", 7)])
def test_metadata_is_what_the_saved_model_says(target: Target, folder: Path, model: str, version: int) -> None:
    """GetModelMetadata returns the signatures of the model's file."""
    saved = saved_model_pb2.SavedModel.FromString(
        (folder / "models" / model / str(version) / "saved_model.pb").read_bytes()
    )
    response = target.call(metadata(model))
    told = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(told)
    assert (response.model_spec.name, response.model_spec.version.value) == (model, version)
    assert dict(told.signature_def) == dict(saved.meta_graphs[0].signature_def)


def test_a_call_past_its_deadline_fails(target: Target) -> None:
    """A Predict that takes too long gets DEADLINE_EXCEEDED."""
    request = predict({"seconds": tensor(types_pb2.DT_DOUBLE, [], double_val=[10.0])}, model="wait")
    assert target.outcome(request, timeout=0.2)[0] == "DEADLINE_EXCEEDED"


def test_reflection_describes_the_services(target: Target) -> None:
    """Clients like grpcurl find the services and their methods."""
    database = ProtoReflectionDescriptorDatabase(target.channel)
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= set(database.get_services())
    file = database.FindFileContainingSymbol("tensorflow.serving.PredictionService")
    assert "Predict" in {method.name for method in file.service[0].method}


def test_health_of_the_server_and_its_services(target: Target) -> None:
    """The health service knows the server and its two services, by TensorFlow Serving's names."""
    services = ("", "ModelService", "PredictionService", "nobody")
    assert [health_status(target.address, name) for name in services] == ["SERVING"] * 3 + ["NOT_FOUND"]


def test_there_is_no_health_service_by_default(batching: Target) -> None:
    """The server with batching was started without the flag for it."""
    assert health_status(batching.address) == "UNIMPLEMENTED"
