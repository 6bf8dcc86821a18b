"""The gRPC services: TensorFlow Serving's PredictionService and ModelService."""

from __future__ import annotations

import grpc
from grpc import StatusCode
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from protos.tfserving.v1 import predict_pb2 as pb
from serving.stand_in.metrics import Metrics
from serving.stand_in.model_config import models_of
from serving.stand_in.models import Models
from serving.stand_in.reload import Reloader
from serving.stand_in.status import StatusError, bytes_of, invalid_argument
from serving.stand_in.text_proto import ConfigError

SIGNATURE_DEF = "signature_def"


class PredictionServicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other RPCs are UNIMPLEMENTED."""

    def __init__(self, models: Models, metrics: Metrics) -> None:
        self._models = models
        self._metrics = metrics

    def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        try:
            with (
                self._metrics.request(request.model_spec.name, "Predict", "GRPC"),
                self._models.using(*_model_spec(request)) as version,
            ):
                return version.predict(request, context.time_remaining)
        except StatusError as error:
            context.abort(error.code, error.message)

    def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        try:
            return model_metadata(self._models, request)
        except StatusError as error:
            context.abort(error.code, error.message)


class ModelService:
    """GetModelStatus and HandleReloadConfigRequest; `add_model_service` registers them."""

    def __init__(self, models: Models, reloader: Reloader) -> None:
        self._models = models
        self._reloader = reloader

    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> pb.GetModelStatusResponse:
        try:
            return model_status(self._models, request)
        except StatusError as error:
            context.abort(error.code, error.message)

    def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        try:
            if request.config.WhichOneof("config") != "model_config_list":
                raise invalid_argument(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is "
                    "currently supported"
                )
            try:
                configs = models_of(request.config)
            except ConfigError as error:
                raise invalid_argument(str(error)) from error
            self._reloader.reload(configs, context.time_remaining())
            return model_management_pb2.ReloadConfigResponse(status={"error_code": 0})
        except StatusError as error:
            context.abort(error.code, error.message)


def add_model_service(service: ModelService, server: grpc.Server) -> None:
    """Register ModelService.

    GetModelStatus answers with our own message, whose error texts are bytes. TensorFlow's message has strings there,
    which in Python cannot hold the bytes of damaged files that the real server's error texts contain.
    """
    handlers = {
        "GetModelStatus": grpc.unary_unary_rpc_method_handler(
            service.GetModelStatus,
            get_model_status_pb2.GetModelStatusRequest.FromString,
            pb.GetModelStatusResponse.SerializeToString,
        ),
        "HandleReloadConfigRequest": grpc.unary_unary_rpc_method_handler(
            service.HandleReloadConfigRequest,
            model_management_pb2.ReloadConfigRequest.FromString,
            model_management_pb2.ReloadConfigResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", handlers),)
    )


def model_metadata(
    models: Models, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The answer to GetModelMetadata, for gRPC and REST.  Raises StatusError."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise invalid_argument(f"Metadata field {field} is not supported")
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    with models.using(*_model_spec(request)) as version:
        response.model_spec.name = version.model_name
        response.model_spec.version.value = version.number
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for key, definition in version.signature_defs.items():
            signatures.signature_def[key].CopyFrom(definition)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


def model_status(models: Models, request: get_model_status_pb2.GetModelStatusRequest) -> pb.GetModelStatusResponse:
    """The answer to GetModelStatus, for gRPC and REST.  Raises StatusError."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec = request.model_spec
    versions = models.statuses(spec.name)
    if spec.HasField("version"):
        number = spec.version.value
        if number not in versions:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find version {number} of model {spec.name}")
        versions = {number: versions[number]}
    if not versions:
        raise StatusError(StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
    response = pb.GetModelStatusResponse()
    for number, (state, code, message) in sorted(versions.items(), reverse=True):
        status = response.model_version_status.add(version=number, state=state)
        status.status.error_code, status.status.error_message = code, bytes_of(message)
    return response


def _model_spec(
    request: predict_pb2.PredictRequest | get_model_metadata_pb2.GetModelMetadataRequest,
) -> tuple[str, int | None, str]:
    """(model's name, version's number or None, version's label or "") in a request.

    Raises StatusError if the request names no model.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec: model_pb2.ModelSpec = request.model_spec
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    return spec.name, spec.version.value if spec.HasField("version") else None, spec.version_label
