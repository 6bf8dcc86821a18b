"""The server under test, whichever it is, as its callers see it."""

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


@dataclass(frozen=True)
class Target:
    """rest: host:port.  folder: what `prepare` made, as the server sees it too.  poll_s: how often it looks there."""

    address: str
    channel: grpc.Channel
    rest: str | None
    folder: Path | None
    poll_s: float

    def call(self, request: Message, timeout: float = 20) -> Any:
        return self.method(request)(request, timeout=timeout)

    def method(self, request: Message) -> Any:
        """The stub for requests of that kind."""
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        model = model_service_pb2_grpc.ModelServiceStub(self.channel)
        return {
            predict_pb2.PredictRequest: prediction.Predict,
            get_model_metadata_pb2.GetModelMetadataRequest: prediction.GetModelMetadata,
            get_model_status_pb2.GetModelStatusRequest: model.GetModelStatus,
            model_management_pb2.ReloadConfigRequest: model.HandleReloadConfigRequest,
        }[type(request)]

    def outcome(self, request: Message, timeout: float = 20) -> tuple[str, str, str]:
        """(code, message without the names of the graph's nodes, response in text form: map entries in order)."""
        return outcome(self.method(request).future(request, timeout=timeout))

    def reload(self, *configs: str, timeout: float = 20) -> Any:
        """configs: ModelConfig text protos, all there are to be from now on."""
        return self.call(reload_request(*configs), timeout)


def outcome(call: Any) -> tuple[str, str, str]:
    """Of a call made by `.future()`, as `Target.outcome` tells it."""
    try:
        return "OK", "", str(call.result())
    except grpc.RpcError:
        return call.code().name, without_nodes(call.details()), ""


def without_nodes(message: str) -> str:
    """They belong to the graph as it was saved."""
    return message.partition("\n\t [[")[0]


def reload_request(*configs: str) -> model_management_pb2.ReloadConfigRequest:
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    text_format.Parse("".join(f"config {{ {config} }}" for config in configs), request.config.model_config_list)
    return request
