"""TensorFlow Serving's REST API: predict by row and by column, status, metadata; and the page of metrics."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf import json_format
from grpc import StatusCode
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from protos.tfserving.v1 import predict_pb2 as pb
from serving.stand_in.json_requests import parse, to_request
from serving.stand_in.json_responses import to_json
from serving.stand_in.metrics import Metrics
from serving.stand_in.model_config import INT64
from serving.stand_in.models import Models, State
from serving.stand_in.servicers import model_metadata, model_status
from serving.stand_in.status import STATUS_OF_CODE, StatusError, invalid_argument

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
}  # all other codes: 500
TIMEOUT_S = 30.0  # the longest wait for a batch; the default of TensorFlow Serving's --rest_api_timeout_in_ms


class _VersionTooLong(Exception):
    """The version in the path does not fit into an int64. The real server answers this with an empty body."""


@dataclass(frozen=True)
class Rest:
    """Answers to GET and POST.  metrics_path: the path of the metrics' page, None if there is none."""

    models: Models
    metrics: Metrics
    metrics_path: str | None

    def get(self, path: str) -> tuple[int, str, str]:
        """Answer a GET with (HTTP status, content type, body)."""
        if path == self.metrics_path:
            return 200, "text/plain", self.metrics.text()
        return _answer(lambda: self._describe(path))

    def post(self, path: str, body: bytes) -> tuple[int, str, str]:
        """Answer a POST with (HTTP status, content type, body)."""
        return _answer(lambda: self._predict(path, body))

    def _describe(self, path: str) -> Any:
        """The status of a model's versions, or the metadata of one version."""
        match = MODEL.fullmatch(path)
        if match is None or match[4] == ":predict":
            raise _malformed("GET", path)
        spec = _model_spec(match)
        with self.metrics.request(spec.name, "", "REST"):
            if match[4] is None:
                request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
                return {"model_version_status": _statuses(model_status(self.models, request))}
            return _metadata(self.models, spec)

    def _predict(self, path: str, body: bytes) -> Any:
        match = MODEL.fullmatch(path)
        if match is None or match[4] != ":predict":
            raise _malformed("POST", path)
        spec = _model_spec(match)
        with self.metrics.request(spec.name, "predict", "REST"):
            content = parse(body)
            number = spec.version.value if spec.HasField("version") else None
            with self.models.using(spec.name, number, spec.version_label) as loaded:
                request = to_request(content, loaded.signature_defs)
                response = loaded.predict(request, lambda: TIMEOUT_S)
            return to_json(response, by_row="instances" in content)


def serve_rest(host: str, port: int, rest: Rest) -> None:
    """Start listening; every connection gets a thread of its own.  Raises OSError if the port cannot be opened."""

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
    """(HTTP status, content type, body) of what `respond` returns or raises."""
    try:
        status, answer = 200, respond()
    except _VersionTooLong:
        return 400, "application/json", ""
    except StatusError as error:
        status, answer = HTTP_STATUS.get(error.code, 500), {"error": error.message}
    return status, "application/json", json.dumps(answer, indent=4) + "\n"


def _model_spec(match: re.Match[str]) -> model_pb2.ModelSpec:
    """The model, and the version or label, in a path.  Raises _VersionTooLong."""
    name, version, label, _ = match.groups()
    spec = model_pb2.ModelSpec(name=name, version_label=label or "")
    if version is not None:
        digits = version.lstrip("0") or "0"
        if len(digits) > 19 or int(digits) not in INT64:
            raise _VersionTooLong
        spec.version.value = int(digits)
    return spec


def _statuses(response: pb.GetModelStatusResponse) -> list[Any]:
    return [
        {
            "version": str(version.version),
            "state": State.State.Name(version.state),
            "status": {
                "error_code": STATUS_OF_CODE[version.status.error_code].name,
                "error_message": version.status.error_message.decode(errors="replace"),
            },
        }
        for version in response.model_version_status
    ]


def _metadata(models: Models, spec: model_pb2.ModelSpec) -> Any:
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
    response = model_metadata(models, request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    content = json_format.MessageToDict(
        signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    answered = {"name": spec.name, "signature_name": "", "version": str(response.model_spec.version.value)}
    return {"model_spec": answered, "metadata": {"signature_def": content}}


def _malformed(method: str, path: str) -> StatusError:
    return invalid_argument(f"Malformed request: {method} {path}")
