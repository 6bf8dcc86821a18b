"""TensorFlow Serving's REST API: predict by row and by column, status, metadata; and Prometheus metrics beside it."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from grpc import StatusCode
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.monitoring import Metrics
from serving.servable import DEFAULT_SIGNATURE, Servable
from serving.servicers import PredictionServicer, model_status
from serving.status import StatusError
from serving.tensors import type_name
from serving.versions import Versions

log = logging.getLogger(__name__)

MODEL = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(:predict|/metadata)?")
HTTP_STATUS = {
    StatusCode.OK: 200,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.NOT_FOUND: 404,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}  # 500 for all others
JSON_TYPES = {bool: "Boolean", int: "Number", float: "Number", str: "String", list: "Array", dict: "Object"}


@dataclass(frozen=True)
class Rest:
    """What the handlers work with.  metrics_path: None for no metrics."""

    versions: Versions
    metrics: Metrics
    metrics_path: str | None

    def get(self, path: str) -> tuple[int, str, str]:
        """(HTTP status, content type, body)"""
        if path == self.metrics_path:
            return 200, "text/plain", self.metrics.text()
        return _answer(lambda: self._model(path, "GET"))

    def post(self, path: str, body: bytes) -> tuple[int, str, str]:
        """(HTTP status, content type, body)"""
        return _answer(lambda: self._predict(path, body))

    def _model(self, path: str, method: str) -> Any:
        match = MODEL.fullmatch(path)
        if match is None or match[4] == ":predict":
            raise _malformed(method, path)
        name, version, label, what = match.groups()
        if what == "/metadata":
            request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
            _fill_spec(request.model_spec, name, version, label)
            response = PredictionServicer(self.versions, self.metrics).metadata(request)
            signatures = get_model_metadata_pb2.SignatureDefMap()
            response.metadata["signature_def"].Unpack(signatures)
            spec = {"name": name, "signature_name": "", "version": str(response.model_spec.version.value)}
            return {"model_spec": spec, "metadata": {"signature_def": _to_json(signatures)}}
        status = get_model_status_pb2.GetModelStatusRequest()
        _fill_spec(status.model_spec, name, version, label)
        return _to_json(model_status(self.versions, status))

    def _predict(self, path: str, body: bytes) -> Any:
        match = MODEL.fullmatch(path)
        if match is None or match[4] != ":predict":
            raise _malformed("POST", path)
        name, version, label, _ = match.groups()
        with self.metrics.request(name, "Predict", "REST"):
            content = _parse(body)
            with self.versions.servable(name, int(version) if version else None, label or "") as servable:
                request, by_row = _request(servable, content)
                response = servable.predict(request)
            outputs = {alias: tf.make_ndarray(tensor) for alias, tensor in response.outputs.items()}
        return {"predictions": _rows(outputs)} if by_row else {"outputs": _columns(outputs)}


def serve_rest(host: str, port: int, rest: Rest) -> None:
    """Listens in a thread of its own, a thread per connection.  Raises OSError if it cannot."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(*rest.get(self.path))

        def do_POST(self) -> None:
            self._send(*rest.post(self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0))))

        def _send(self, status: int, kind: str, text: str) -> None:
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="rest", daemon=True).start()
    log.info("Exporting HTTP/REST API at:%s:%d ...", host, server.server_port)


def _answer(respond: Callable[[], Any]) -> tuple[int, str, str]:
    try:
        status, answer = 200, respond()
    except StatusError as error:
        status, answer = HTTP_STATUS.get(error.code, 500), {"error": error.message}
    return status, "application/json", json.dumps(answer, indent=4) + "\n"


def _parse(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise _invalid(f"JSON Parse error: {error}") from None
    if not isinstance(content, dict):
        raise _invalid(f"Request must be a JSON object, got {JSON_TYPES.get(type(content), 'Null')}")
    if "instances" in content and "inputs" in content:
        raise _invalid("Expected either 'inputs' or 'instances', got both")
    if "instances" not in content and "inputs" not in content:
        raise _invalid("Missing 'inputs' or 'instances' key")
    return content


def _request(servable: Servable, content: Mapping[str, Any]) -> tuple[predict_pb2.PredictRequest, bool]:
    """(the request, whether it came by row)"""
    request = predict_pb2.PredictRequest()
    key = content.get("signature_name", "")
    if not isinstance(key, str):
        raise _invalid("'signature_name' key must be a string value.")
    request.model_spec.signature_name = key
    definition = servable.signature_defs.get(key or DEFAULT_SIGNATURE)
    if definition is None:  # predict says so
        return request, "instances" in content
    by_row = "instances" in content
    given = content["instances"] if by_row else content["inputs"]
    for alias, values in _by_name(given, sorted(definition.inputs), by_row).items():
        if alias not in definition.inputs:
            request.inputs[alias].dtype = 0  # predict refuses it by name
            continue
        dtype = definition.inputs[alias].dtype
        try:
            array = np.array(_checked(values, dtype), tf.as_dtype(dtype).as_numpy_dtype)
        except (ValueError, OverflowError) as error:
            raise _invalid(
                f"Failed to read input {alias}: expected a full array of {type_name(dtype)}: {error}"
            ) from None
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(array, dtype))
    return request, by_row


def _by_name(given: Any, names: list[str], by_row: bool) -> dict[str, Any]:
    """Input name → its values; names may be left out where there is one input."""
    if by_row:
        if not isinstance(given, list) or not given:
            raise _invalid("Request must have 'instances' as a non-empty list")
        if all(isinstance(row, dict) and set(row) != {"b64"} for row in given):
            first = set(given[0])
            for position, row in enumerate(given):
                if set(row) != first:
                    raise _invalid(
                        f"Failed to process element: {position} of 'instances' list. Expected the keys "
                        f"{sorted(first)}, got {sorted(row)}"
                    )
            return {name: [row[name] for row in given] for name in sorted(first)}
    elif isinstance(given, dict) and set(given) != {"b64"}:
        return dict(given)
    if len(names) != 1:
        raise _invalid(f"Expected an object with the inputs {', '.join(names)}, got values without a name")
    return {names[0]: given}


def _checked(values: Any, dtype: int) -> Any:
    """The values with base64 decoded.  Raises StatusError for one of another type than the input's."""
    if isinstance(values, list):
        return [_checked(value, dtype) for value in values]
    kind = tf.as_dtype(dtype)
    if kind == tf.string:
        if isinstance(values, dict) and set(values) == {"b64"} and isinstance(values["b64"], str):
            try:
                return base64.b64decode(values["b64"], validate=True)
            except binascii.Error:
                raise _invalid("Unable to base64 decode") from None
        fits = isinstance(values, str)
    elif kind == tf.bool:
        fits = isinstance(values, bool)
    else:
        fits = isinstance(values, int | float) and not isinstance(values, bool)
        fits = fits and (not kind.is_integer or isinstance(values, int))
    if not fits:
        shown = JSON_TYPES.get(type(values), "Null")
        raise _invalid(f"JSON Value: {json.dumps(values)} Type: {shown} is not of expected type: {type_name(dtype)}")
    return values.encode() if isinstance(values, str) else values


def _rows(outputs: Mapping[str, np.ndarray]) -> list[Any]:
    """One prediction per row of the batch; unnamed if there is one output."""
    sizes = {alias: array.shape[0] if array.ndim else None for alias, array in outputs.items()}
    if None in sizes.values() or len(set(sizes.values())) > 1:
        raise _invalid(f"Tensors to be answered by row must have one batch size, got {sizes}")
    columns = {alias: _plain(alias, array) for alias, array in outputs.items()}
    if len(columns) == 1:
        rows: list[Any] = next(iter(columns.values()))
        return rows
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _columns(outputs: Mapping[str, np.ndarray]) -> Any:
    columns = {alias: _plain(alias, array) for alias, array in outputs.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def _plain(alias: str, array: np.ndarray) -> Any:
    """Nested lists; strings as text, or in base64 if the output's name ends in _bytes or they are no UTF-8."""
    if array.dtype != object:
        return array.tolist()

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(item) for item in value]
        try:
            if not alias.endswith("_bytes"):
                return value.decode()
        except UnicodeDecodeError:
            pass
        return {"b64": base64.b64encode(value).decode()}

    return text(array.tolist())


def _fill_spec(spec: Any, name: str, version: str | None, label: str | None) -> None:
    spec.name = name
    if version:
        spec.version.value = int(version)
    if label:
        spec.version_label = label


def _to_json(message: Any) -> Any:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _malformed(method: str, path: str) -> StatusError:
    return _invalid(f"Malformed request: {method} {path}")


def _invalid(message: str) -> StatusError:
    return StatusError(StatusCode.INVALID_ARGUMENT, message)
