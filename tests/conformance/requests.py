"""Short functions for the requests and responses in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

INT64, INT32, FLOAT, DOUBLE, STRING, BOOL = (
    types_pb2.DT_INT64,
    types_pb2.DT_INT32,
    types_pb2.DT_FLOAT,
    types_pb2.DT_DOUBLE,
    types_pb2.DT_STRING,
    types_pb2.DT_BOOL,
)
Inputs = Mapping[str, tensor_pb2.TensorProto]


def tensor(dtype: int, shape: Sequence[int], **values: Any) -> tensor_pb2.TensorProto:
    """A TensorProto.  values: its other fields, such as int64_val."""
    proto = tensor_pb2.TensorProto(dtype=dtype, **values)
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    return proto


def ids(*user_ids: int) -> Inputs:
    """The inputs of the model `user` for these ids."""
    return {"user_id": tensor(INT64, [len(user_ids)], int64_val=user_ids)}


def predict(
    inputs: Inputs,
    model: str | None = "user",
    version: int | None = None,
    label: str = "",
    signature: str = "",
    outputs: Sequence[str] = (),
) -> predict_pb2.PredictRequest:
    """A PredictRequest.  model: None leaves the model_spec out."""
    request = predict_pb2.PredictRequest(output_filter=outputs)
    fill_spec(request, model, version, label)
    if signature:
        request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(value)
    return request


def answer(
    outputs: Inputs, model: str = "user", version: int = 2, signature: str = "serving_default"
) -> predict_pb2.PredictResponse:
    """A PredictResponse; its model_spec is that of the newest version of `user`, unless told otherwise."""
    response = predict_pb2.PredictResponse()
    for name, value in outputs.items():
        response.outputs[name].CopyFrom(value)
    response.model_spec.name = model
    response.model_spec.version.value = version
    response.model_spec.signature_name = signature
    return response


def embeddings(user_ids: np.ndarray | Sequence[int] | int, version: int = 2) -> predict_pb2.PredictResponse:
    """The response of the model `user` to these ids: (id, -id) in version 1, ten times that in version 2."""
    first = np.asarray(user_ids) * 10 ** (version - 1)
    values = np.stack([first, -first], axis=-1)
    embedding = tensor(FLOAT, values.shape, float_val=values.ravel().tolist())
    return answer({"user_embedding": embedding}, version=version)


def status(
    model: str | None, version: int | None = None, label: str = ""
) -> get_model_status_pb2.GetModelStatusRequest:
    """A GetModelStatusRequest.  model: None leaves the model_spec out."""
    request = get_model_status_pb2.GetModelStatusRequest()
    fill_spec(request, model, version, label)
    return request


def available(*versions: int) -> get_model_status_pb2.GetModelStatusResponse:
    """A GetModelStatusResponse with these versions, all AVAILABLE."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in versions:
        added = response.model_version_status.add(
            version=version, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE
        )
        added.status.SetInParent()
    return response


def metadata(
    model: str | None, fields: Sequence[str] = ("signature_def",), version: int | None = None, label: str = ""
) -> get_model_metadata_pb2.GetModelMetadataRequest:
    """A GetModelMetadataRequest.  model: None leaves the model_spec out."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    fill_spec(request, model, version, label)
    return request


def fill_spec(request: Any, model: str | None, version: int | None, label: str) -> None:
    """Set what is given in the request's model_spec."""
    if model is not None:
        request.model_spec.SetInParent()
        request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
