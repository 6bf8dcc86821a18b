"""The server under test, as its callers see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"


@dataclass(frozen=True)
class Target:
    """address: of gRPC, host:port.  rest: of REST, host:port, or None.  folder: what `prepare` made, as the server sees
    it too.  poll_s: seconds between two looks of the server at its folders."""

    address: str
    channel: grpc.Channel
    rest: str | None
    folder: Path | None
    poll_s: float

    def call(self, request: Message, timeout: float = 60) -> Any:
        """Make the call that takes such a request, and return its response."""
        return self.method(request)(request, timeout=timeout)

    def method(self, request: Message) -> Any:
        """The stub's method for requests of that class."""
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        model = model_service_pb2_grpc.ModelServiceStub(self.channel)
        return {
            predict_pb2.PredictRequest: prediction.Predict,
            get_model_metadata_pb2.GetModelMetadataRequest: prediction.GetModelMetadata,
            get_model_status_pb2.GetModelStatusRequest: model.GetModelStatus,
            model_management_pb2.ReloadConfigRequest: model.HandleReloadConfigRequest,
        }[type(request)]

    def status_bytes(self, request: get_model_status_pb2.GetModelStatusRequest) -> bytes:
        """The response to a GetModelStatus, not parsed: TensorFlow's class for it cannot hold every error text."""
        call: Any = self.channel.unary_unary(GET_MODEL_STATUS)
        response: bytes = call(request.SerializeToString(), timeout=60)
        return response

    def outcome(self, request: Message, timeout: float = 60) -> tuple[str, str, str]:
        """(code, message without the names of the graph's nodes, response as text with map entries in order)"""
        return outcome(self.method(request).future(request, timeout=timeout))

    def reload(self, *configs: str, timeout: float = 60) -> Any:
        """Replace the server's configuration.  configs: ModelConfig text protos, one for each model."""
        return self.call(reload_request(*configs), timeout)


def outcome(call: Any) -> tuple[str, str, str]:
    """What `Target.outcome` returns, for a call that was made by `.future()`."""
    try:
        return "OK", "", str(call.result())
    except grpc.RpcError:
        return call.code().name, without_nodes(call.details()), ""


def without_nodes(message: str) -> str:
    """The message without the names of the graph's nodes, which differ between two saves of one model."""
    return message.partition("\n\t [[")[0]


def reload_request(*configs: str) -> model_management_pb2.ReloadConfigRequest:
    """A HandleReloadConfigRequest with these ModelConfig text protos."""
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    text_format.Parse("".join(f"config {{ {config} }}" for config in configs), request.config.model_config_list)
    return request
